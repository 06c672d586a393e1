-- Whether every order that is paid for has one coupon of its shopper, every redeemed coupon pays for such an order, and cancelled orders hold none.
-- $1 the campaign's number. Relies on paid_or_cancelled_orders having been filled in this session.
WITH redeemed AS (
    SELECT order_id, count(*) AS coupons, min(shopper_id) AS shopper_id
    FROM coupons
    WHERE campaign_number = $1 AND order_id IS NOT NULL
    GROUP BY order_id
)
SELECT
    count(redeemed.order_id) AS coupons_redeemed,
    count(*) FILTER (WHERE placed.is_paid AND redeemed.order_id IS NULL) AS wrong_accepted_orders_not_paid_for,
    count(*) FILTER (WHERE placed.order_id IS NULL) AS wrong_redeemed_coupons_without_an_accepted_order,
    count(*) FILTER (WHERE NOT placed.is_paid AND redeemed.order_id IS NOT NULL) AS wrong_cancelled_orders_that_hold_a_coupon,
    count(*) FILTER (WHERE redeemed.coupons > 1) AS wrong_orders_paid_for_twice,
    count(*) FILTER (WHERE redeemed.shopper_id <> placed.shopper_id) AS wrong_orders_paid_for_by_another_shopper
FROM redeemed
FULL JOIN paid_or_cancelled_orders AS placed USING (order_id);
