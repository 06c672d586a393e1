-- Relies on leases_unsettled. $1 is now, $2 names the silent holders; what is found is only asked to be sealed, so it need not be true any more when it is read.
SELECT
    lease_id,
    campaign_number,
    lane,
    holder_id,
    CASE WHEN issuance_control = 'HALTED' THEN 'HALTED' WHEN closes_at <= $1 THEN 'CLOSED' ELSE 'SILENT' END AS because
FROM leases
JOIN campaigns USING (campaign_number)
WHERE settled_at IS NULL AND lease_id >= $3 AND (issuance_control = 'HALTED' OR closes_at <= $1 OR holder_id = ANY ($2))
ORDER BY lease_id
LIMIT $4
