-- The orders of a lane that came to nothing and whose coupon is still to be given back, those that
-- have waited longest first, from after the one that $2 and $3 name.
-- Relies on the partial index orders_owing, which holds these rows and no others, and on
-- order_details_key.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE orders.lane = $1 AND orders.owes_coupon AND (orders.updated_at, orders.order_id) > ($2, $3)
ORDER BY orders.updated_at, orders.order_id
LIMIT $4
