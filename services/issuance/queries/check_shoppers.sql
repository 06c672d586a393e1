-- Of the shoppers of a campaign in one lane whose coupons came from leases between two ids: how many hold more than the limit, and how many have coupons of it that pay for one and the same order.
-- Relies on coupons_by_lease for the shoppers, as count_coupons.sql does, and on the key for all that each of them holds of the campaign, whichever lease it came from.
-- Parameters: lane, campaign, limit a shopper, the first lease id, the last lease id.
WITH shoppers AS MATERIALIZED (
    SELECT DISTINCT shopper_id
    FROM coupons
    WHERE lane + 0 = $1 AND campaign_number + 0 = $2 AND lease_id >= $4 AND lease_id <= $5
)
SELECT
    count(*) FILTER (WHERE mine.held > $3) AS shoppers_over_limit,
    count(*) FILTER (WHERE mine.paying > mine.orders) AS shoppers_paying_twice
FROM shoppers
CROSS JOIN LATERAL (
    SELECT count(*) AS held, count(order_id) AS paying, count(DISTINCT order_id) AS orders
    FROM coupons
    WHERE coupons.lane = $1 AND coupons.campaign_number = $2 AND coupons.shopper_id = shoppers.shopper_id
) AS mine
