-- Relies on orders_order_id_is_unique and order_details_key for the probes; an order whose details are no longer kept is not found. The shopper is part of the question, so that nobody reads somebody else's
-- order by its id.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE orders.lane = $1 AND orders.order_id = $2 AND orders.shopper_id = $3
