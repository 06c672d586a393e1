-- Relies on leases_unsettled. $1 is now, $2 names the silent lease holders; what is found is only asked to be sealed, so it need not be true any more when it is read.
-- What staff ended is over whatever the clock of this replica says.
SELECT
    lease_id, campaign_number, lane, holder_id,
    CASE
        WHEN issuance_control = 'HALTED' THEN 'HALTED'
        WHEN ended_at IS NOT NULL OR closes_at <= $1 THEN 'CLOSED'
        ELSE 'SILENT'
    END AS because
FROM leases
JOIN campaigns USING (campaign_number)
WHERE settled_at IS NULL
    AND lease_id >= $3
    AND (issuance_control = 'HALTED' OR ended_at IS NOT NULL OR closes_at <= $1 OR holder_id = ANY ($2))
ORDER BY lease_id
LIMIT $4
