-- Relies on campaigns_to_fence: only campaigns that issuance has yet to be told of are read.
WHERE fenced_revision < greatest(redemption_revision, extension_revision)
-- Halts go first, and of these the newest campaigns: nobody waits for those that are old.
ORDER BY (redemption_control = 'HALTED') DESC, campaign_number DESC
LIMIT $1
