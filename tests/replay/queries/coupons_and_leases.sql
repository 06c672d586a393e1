-- Whether every coupon was spent from a lease, and no lease more than it held. $1 the campaign's number.
-- One statement, so that a commit in between cannot make the sides differ.
WITH spent AS (
    SELECT lane, lease_id, tier_number, granted, used
    FROM lease_counts
    WHERE campaign_number = $1
), issued AS (
    SELECT lane, lease_id, tier_number, count(*) AS coupons
    FROM coupons
    WHERE campaign_number = $1
    GROUP BY lane, lease_id, tier_number
)
SELECT
    coalesce(sum(coupons), 0)::bigint AS coupons,
    coalesce(sum(used), 0)::bigint AS used_of_leases,
    count(*) FILTER (WHERE coalesce(used, 0) <> coalesce(coupons, 0)) AS wrong_leases_whose_use_is_not_their_coupons,
    count(*) FILTER (WHERE used NOT BETWEEN 0 AND granted) AS wrong_leases_overspent
FROM spent
FULL JOIN issued USING (lane, lease_id, tier_number);
