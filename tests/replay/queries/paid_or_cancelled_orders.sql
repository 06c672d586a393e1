-- Orders of this run's shoppers that a coupon pays for, and those that were cancelled or that their
-- store failed. $1 what the shoppers' ids begin with.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED, 7 CANCELLED and 8 FAILED,
-- as in tidegate.type.v1.OrderState.
SELECT order_id, shopper_id, state NOT IN (7, 8) AS is_paid
FROM orders
WHERE starts_with(shopper_id, $1) AND state IN (2, 4, 5, 6, 7, 8);
