-- Relies on orders_order_id_is_unique for the probe. The shopper is part of the question, so that nobody reads somebody else's order by its id.
SELECT shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata::text AS rejection_metadata, coupon_code, lines::text AS lines, latest_acceptable_at, traceparent, created_at, updated_at
FROM orders
WHERE lane = $1 AND order_id = $2 AND shopper_id = $3
