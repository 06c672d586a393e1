-- Relies on leases_by_campaign. One statement, so that the tiers and the leases they are compared with are seen at the same instant, also while leases are granted and settled.
SELECT
    tiers.tier_number,
    tiers.stock,
    tiers.free,
    tiers.leased,
    tiers.settled,
    coalesce(held.granted_unsettled, 0)::bigint AS granted_unsettled,
    coalesce(held.used_settled, 0)::bigint AS used_settled
FROM tiers
LEFT JOIN (
    SELECT
        lease_tiers.tier_number,
        sum(lease_tiers.granted) FILTER (WHERE leases.settled_at IS NULL) AS granted_unsettled,
        sum(lease_tiers.used) FILTER (WHERE leases.settled_at IS NOT NULL) AS used_settled
    FROM leases
    JOIN lease_tiers USING (lease_id)
    WHERE leases.campaign_number = $1
    GROUP BY lease_tiers.tier_number
) AS held ON held.tier_number = tiers.tier_number
WHERE tiers.campaign_number = $1
ORDER BY tiers.tier_number
