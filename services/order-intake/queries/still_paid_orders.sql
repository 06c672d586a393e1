-- Which of the orders $2 of lane $1 are still paid for: ACCEPTED (2), IN_PREPARATION (4), READY (5) or COMPLETED (6).
-- Relies on orders_order_id_is_unique.
SELECT order_id
FROM orders
WHERE lane = $1 AND order_id = ANY ($2::uuid[]) AND state IN (2, 4, 5, 6)
