-- Orders of a lane that stores have not begun and that a closing is to end: of stores that are
-- closed by it still, PENDING ones, and ACCEPTED ones whose slot began at $3 or later.
-- Relies on the indexes stores_closed_by_closing and orders_to_come_of_store, which hold such rows
-- only, and on order_details_key.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM stores
JOIN orders ON orders.lane = $1 AND orders.store_id = stores.store_id AND orders.state IN (1, 2)
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE stores.closed_by = $2 AND (orders.state = 1 OR orders.slot_starts_at >= $3)
LIMIT $4
