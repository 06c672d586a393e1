-- Every order of a campaign's shoppers. $1 what their ids begin with. The numbers in orders.state are those of tidegate.type.v1.OrderState.
SELECT shopper_id, request_id, order_id, state, coupon_code
FROM orders
WHERE starts_with(shopper_id, $1);
