-- Relies on leases_by_campaign for the order and on lease ids never changing: the page that begins at $2.
SELECT lease_id, lane, settled_at IS NOT NULL AS is_settled, tier_numbers, granted, used
FROM leases
CROSS JOIN LATERAL (
    SELECT array_agg(tier_number) AS tier_numbers, array_agg(granted) AS granted, array_agg(coalesce(used, 0)) AS used
    FROM lease_tiers
    WHERE lease_tiers.lease_id = leases.lease_id
) AS held
WHERE campaign_number = $1 AND lease_id >= $2
ORDER BY lease_id
LIMIT $3
