-- Every order of a campaign's shoppers. $1 what their ids begin with.
-- In orders.state 1 is PENDING, 2 ACCEPTED and 3 REJECTED, as in tidegate.type.v1.OrderState.
SELECT shopper_id, request_id, order_id, state, coupon_code
FROM orders
WHERE starts_with(shopper_id, $1);
