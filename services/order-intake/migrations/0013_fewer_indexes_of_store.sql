-- no-transaction
-- PENDING orders of a store are found among those of its slots, in orders_of_slot.
DROP INDEX CONCURRENTLY IF EXISTS orders_pending_of_store;
