-- Relies on leases_by_campaign for the order and on lease ids never changing: the page that begins at $2 and goes downwards, to the leases that were granted earlier.
SELECT leases.lease_id, leases.lane, leases.settled_at IS NOT NULL AS is_settled, tier_numbers, granted, used
FROM leases
CROSS JOIN LATERAL (
    SELECT array_agg(tier_number) AS tier_numbers, array_agg(granted) AS granted, array_agg(coalesce(used, 0)) AS used
    FROM lease_counts
    WHERE lease_counts.lease_id = leases.lease_id
) AS held
WHERE leases.campaign_number = $1 AND leases.lease_id <= $2
ORDER BY leases.campaign_number DESC, leases.lease_id DESC
LIMIT $3
