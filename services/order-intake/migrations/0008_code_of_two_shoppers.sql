-- no-transaction
-- Two shoppers may pay with the same code. The index of 0007 holds redeemed-once instead, for both
-- versions. Waits for statements under way without stopping any.
DROP INDEX CONCURRENTLY IF EXISTS orders_one_paid_per_coupon;
