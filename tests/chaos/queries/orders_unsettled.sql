-- Orders that are still being decided, and cancelled ones whose coupon is not given back. In orders.state 1 is PENDING and 7 CANCELLED, as in tidegate.type.v1.OrderState.
SELECT count(*) FROM orders WHERE state = 1 OR (state = 7 AND coupon_released_at IS NULL);
