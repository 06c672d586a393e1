-- Orders of this run's shoppers that are still being decided, or whose coupon is still to be given back. $1 what the shoppers' ids begin with.
-- In orders.state 1 is PENDING, as in tidegate.type.v1.OrderState.
SELECT count(*)
FROM orders
WHERE starts_with(shopper_id, $1) AND (state = 1 OR owes_coupon);
