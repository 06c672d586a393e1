-- no-transaction
-- Orders of a store are found by their slot, in every state that holds a place.
DROP INDEX CONCURRENTLY IF EXISTS orders_to_come_of_store;
