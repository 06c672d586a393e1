-- Whether every accepted order is paid for by one coupon of its shopper, and every redeemed coupon pays for an accepted order.
-- $1 the campaign's number. Relies on accepted_orders having been filled in this session.
WITH redeemed AS (
    SELECT order_id, count(*) AS coupons, min(shopper_id) AS shopper_id
    FROM coupons
    WHERE campaign_number = $1 AND order_id IS NOT NULL
    GROUP BY order_id
)
SELECT
    count(redeemed.order_id) AS coupons_redeemed,
    count(*) FILTER (WHERE redeemed.order_id IS NULL) AS wrong_accepted_orders_not_paid_for,
    count(*) FILTER (WHERE accepted.order_id IS NULL) AS wrong_redeemed_coupons_without_an_accepted_order,
    count(*) FILTER (WHERE redeemed.coupons > 1) AS wrong_orders_paid_for_twice,
    count(*) FILTER (WHERE redeemed.shopper_id <> accepted.shopper_id) AS wrong_orders_paid_for_by_another_shopper
FROM redeemed
FULL JOIN accepted_orders AS accepted USING (order_id);
