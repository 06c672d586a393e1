-- Forgets orders of a lane for good. Relies on orders_order_id_is_unique for the probes.
DELETE FROM orders
WHERE lane = $1 AND order_id = ANY ($2)
