-- Campaigns that are due to be audited, $3 at most, those that were not audited for longest first: each that closes after $1; each that ended, until all its leases were compared when nothing could change any more; and each whose last complete pass began before $2.
-- Relies on audit_passes_pkey. Reads every campaign there is, which are thousands at most; its leases are not read.
SELECT campaigns.campaign_id
FROM campaigns
LEFT JOIN audit_passes AS pass USING (campaign_number)
WHERE campaigns.closes_at > $1
    OR pass.complete_at IS NULL
    OR pass.pass_from IS NOT NULL
    OR NOT pass.complete_is_final
    OR pass.complete_at < $2
ORDER BY pass.audited_at NULLS FIRST, campaigns.campaign_number
LIMIT $3
