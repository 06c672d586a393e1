-- A page of a shopper's orders, newest first, from after the order that $3 and $4 name. Relies on the index orders_of_shopper, which is walked backwards.
SELECT shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata::text AS rejection_metadata, coupon_code, lines::text AS lines, latest_acceptable_at, traceparent, created_at, updated_at
FROM orders
WHERE lane = $1 AND shopper_id = $2 AND (created_at, order_id) < ($3, $4)
ORDER BY created_at DESC, order_id DESC
LIMIT $5
