-- Orders of this run's shoppers that a coupon pays for, and those that were cancelled. $1 what the shoppers' ids begin with.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED and 7 CANCELLED, as in tidegate.type.v1.OrderState.
SELECT order_id, shopper_id, state <> 7 AS is_paid
FROM orders
WHERE starts_with(shopper_id, $1) AND state IN (2, 4, 5, 6, 7);
