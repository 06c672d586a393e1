-- Orders that are still being decided, and those that came to nothing and owe their coupon. In
-- orders.state 1 is PENDING, as in tidegate.type.v1.OrderState.
SELECT count(*) FROM orders WHERE state = 1 OR owes_coupon;
