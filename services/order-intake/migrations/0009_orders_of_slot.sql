-- no-transaction
-- An audit holds what is booked in a slot against the orders that hold a place in it, so these are
-- found by their slot in every state that holds one, and not only while they are to come. Built
-- while orders are placed.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_slot ON orders (lane, store_id, slot_starts_at) WHERE state IN (1, 2, 4, 5, 6);
