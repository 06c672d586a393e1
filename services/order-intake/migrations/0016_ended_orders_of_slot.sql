-- no-transaction
-- Staff list a store's orders by their slots. Those that hold a place are found by orders_of_slot;
-- these are the others, REJECTED, CANCELLED and FAILED. An order that is placed and accepted never
-- comes in here, so placing orders costs nothing more. Built while orders are placed.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_ended_of_slot ON orders (lane, store_id, slot_starts_at, order_id) WHERE state IN (3, 7, 8);
