-- Relies on campaigns_to_fence: only campaigns that issuance has yet to be told of are read.
SELECT * FROM campaign_states
WHERE fenced_revision < greatest(redemption_revision, extension_revision)
ORDER BY campaign_number
LIMIT $1
