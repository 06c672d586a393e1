-- A page of a shopper's orders, newest first, from after the order that $3 and $4 name. Relies on the index orders_of_shopper, which is walked backwards, and on order_details_key.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE orders.lane = $1 AND orders.shopper_id = $2 AND (orders.created_at, orders.order_id) < ($3, $4)
ORDER BY orders.created_at DESC, orders.order_id DESC
LIMIT $5
