-- The oldest PENDING orders of a lane that are not fresh, from after the order that $3 and $4 name. Fresh is what was made durable between $2 and $6; what seems to come from later was placed while a clock
-- was ahead, and would otherwise wait until the right time has caught up with it. Relies on the partial index orders_pending, which holds PENDING orders and no others.
SELECT shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata::text AS rejection_metadata, coupon_code, lines::text AS lines, latest_acceptable_at, traceparent, created_at, updated_at
FROM orders
WHERE lane = $1 AND state = 1 AND (created_at < $2 OR created_at > $6) AND (created_at, order_id) > ($3, $4)
ORDER BY created_at, order_id
LIMIT $5
