-- One order by its id alone. Its lane is that of its shopper, who is not known, so each lane of $1 is
-- probed. Relies on orders_order_id_is_unique and order_details_key for the probes; an order whose
-- details are no longer kept is not found.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM unnest($1::smallint[]) AS each (lane)
CROSS JOIN LATERAL (
    SELECT orders.*
    FROM orders
    WHERE orders.lane = each.lane AND orders.order_id >= $2 AND orders.order_id <= $2
    ORDER BY orders.order_id
    LIMIT 1
) AS orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
LIMIT 1
