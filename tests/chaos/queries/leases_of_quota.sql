-- Every lease as quota granted it; `used` is null until it is settled. $1 the campaign's number.
-- A lease whose holder had gone silent was reclaimed, and not returned.
SELECT lease_id, tier_number, granted, used, leases.settled_at IS NOT NULL AS is_settled, sealed_because IS NOT DISTINCT FROM 'SILENT' AS is_reclaimed
FROM leases
JOIN lease_counts USING (lease_id)
WHERE leases.campaign_number = $1;
