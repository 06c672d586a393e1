-- Relies on the locks of lock_tiers or lock_tiers_of_lease, taken by an earlier statement: the lease cannot be granted or settled meanwhile. It may be archived, and is seen before or after: this is one statement.
SELECT leases.lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, settled_at IS NOT NULL AS is_settled, archived_used IS NOT NULL AS is_archived, tier_numbers, granted, used
FROM leases
CROSS JOIN LATERAL (
    SELECT array_agg(tier_number) AS tier_numbers, array_agg(granted) AS granted, array_agg(coalesce(used, 0)) AS used
    FROM lease_counts
    WHERE lease_counts.lease_id = leases.lease_id
) AS held
WHERE leases.lease_id = $1
