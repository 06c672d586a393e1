-- Whether a coupon pays for at most one order, a request makes at most one order, and every order
-- that came to nothing has given its coupon back. Two shoppers may have the same code. $1 what the shoppers' ids begin with.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED and 7 CANCELLED, as in tidegate.type.v1.OrderState.
WITH orders_of_run AS (
    SELECT shopper_id, request_id, coupon_code, state, owes_coupon
    FROM orders
    WHERE starts_with(shopper_id, $1)
), per_coupon AS (
    SELECT count(*) AS orders FROM orders_of_run WHERE state IN (2, 4, 5, 6) GROUP BY shopper_id, coupon_code
), per_request AS (
    SELECT count(*) AS orders FROM orders_of_run GROUP BY shopper_id, request_id
)
SELECT
    (SELECT coalesce(sum(orders), 0)::bigint FROM per_coupon) AS orders_accepted,
    (SELECT count(*) FROM orders_of_run WHERE state = 7) AS orders_cancelled,
    (SELECT count(*) FROM orders_of_run WHERE owes_coupon) AS wrong_cancelled_orders_that_keep_their_coupon,
    (SELECT count(*) FROM per_coupon WHERE orders > 1) AS wrong_coupons_that_paid_for_two_orders,
    (SELECT count(*) FROM per_request WHERE orders > 1) AS wrong_requests_with_two_orders;
