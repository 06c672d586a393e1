-- Counts the coupons of a campaign in one lane whose leases lie between two ids, tier by tier (rows without a lease), and names leases whose `used` is not the number of their coupons (rows with one, $3 at most).
-- Relies on being one statement, and so on one snapshot: a commit that spends a lease and inserts its coupons is seen whole or not at all.
-- Relies on coupons_by_lease for the coupons, whose lane and number are written so that no key can be taken for them: by its key a lane would be read whole, in no order of the table. Relies on leases_by_campaign for the leases.
-- Parameters: lane, campaign, mismatches at most, the first lease id, the last lease id.
WITH issued AS MATERIALIZED (
    SELECT lease_id, tier_number, count(*) AS coupons
    FROM coupons
    WHERE lane + 0 = $1 AND campaign_number + 0 = $2 AND lease_id >= $4 AND lease_id <= $5
    GROUP BY lease_id, tier_number
), spent AS MATERIALIZED (
    SELECT lease_id, tier_number, used, sealed
    FROM lease_counts
    WHERE lane = $1 AND campaign_number = $2 AND lease_id >= $4 AND lease_id <= $5
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
