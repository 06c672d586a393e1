-- The oldest PENDING orders of a lane that were made durable before $2, from after the order that $3 and $4 name. Relies on the partial index orders_pending, which holds these rows and no others.
SELECT shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata::text AS rejection_metadata, coupon_code, lines::text AS lines, latest_acceptable_at, traceparent, created_at, updated_at
FROM orders
WHERE lane = $1 AND state = 1 AND created_at < $2 AND (created_at, order_id) > ($3, $4)
ORDER BY created_at, order_id
LIMIT $5
