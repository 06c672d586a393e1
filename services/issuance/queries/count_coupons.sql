-- Counts the coupons of a campaign in one lane, tier by tier (rows without a lease), and names leases whose `used` is not the number of their coupons (rows with one, $3 at most).
-- Relies on being one statement, and so on one snapshot: a commit that spends a lease and inserts its coupons is seen whole or not at all. Reads the lane's coupons once; it is not for the hot path.
-- Parameters: lane, campaign, mismatches at most.
WITH issued AS MATERIALIZED (
    SELECT lease_id, tier_number, count(*) AS coupons
    FROM coupons
    WHERE lane = $1 AND campaign_number = $2
    GROUP BY lease_id, tier_number
), spent AS MATERIALIZED (
    SELECT tier.lease_id, tier.tier_number, tier.used, tier.sealed
    FROM leases AS lease
    JOIN lease_tiers AS tier ON tier.lane = $1 AND tier.lease_id = lease.lease_id
    WHERE lease.lane = $1 AND lease.campaign_number = $2
), compared AS MATERIALIZED (
    SELECT lease_id, tier_number, coalesce(spent.used, 0) AS used, coalesce(issued.coupons, 0) AS coupons, coalesce(NOT spent.sealed, FALSE) AS live
    FROM spent FULL JOIN issued USING (lease_id, tier_number)
)
(
    SELECT NULL::uuid AS lease_id, tier_number, 0::bigint AS used, sum(coupons)::bigint AS coupons, coalesce(sum(coupons) FILTER (WHERE live), 0)::bigint AS on_live_leases
    FROM compared
    GROUP BY tier_number
)
UNION ALL
(
    SELECT lease_id, tier_number, used, coupons, 0::bigint
    FROM compared
    WHERE used <> coupons
    ORDER BY lease_id, tier_number
    LIMIT $3
)
