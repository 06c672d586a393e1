-- Accepted orders of this run's shoppers. $1 what the shoppers' ids begin with.
-- In orders.state 2 is ACCEPTED, as in tidegate.type.v1.OrderState.
SELECT order_id, shopper_id FROM orders WHERE starts_with(shopper_id, $1) AND state = 2;
