-- Orders that are still being decided. In orders.state 1 is PENDING, as in tidegate.type.v1.OrderState.
SELECT count(*) FROM orders WHERE state = 1;
