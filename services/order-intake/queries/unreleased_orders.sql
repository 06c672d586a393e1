-- The orders of a lane that came to nothing and whose coupon is still to be given back, those that
-- have waited longest first, from after the one that $2 and $3 name. Cancelled ones of which
-- owes_coupon does not tell are those that replicas of the version before have cancelled.
-- Relies on the partial indexes orders_owing and orders_unreleased, which hold these rows and no
-- others, and on order_details_key.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, orders.ordered_lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM (
    (
        SELECT owing.*, order_details.lines AS ordered_lines
        FROM orders AS owing
        JOIN order_details ON order_details.placed_on = (owing.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = owing.lane AND order_details.order_id = owing.order_id
        WHERE owing.lane = $1 AND owing.owes_coupon AND owing.coupon_released_at IS NULL AND (owing.updated_at, owing.order_id) > ($2, $3)
        ORDER BY owing.updated_at, owing.order_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT cancelled.*, order_details.lines AS ordered_lines
        FROM orders AS cancelled
        JOIN order_details ON order_details.placed_on = (cancelled.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = cancelled.lane AND order_details.order_id = cancelled.order_id
        WHERE cancelled.lane = $1 AND cancelled.state = 7 AND NOT cancelled.owes_coupon AND cancelled.coupon_released_at IS NULL AND (cancelled.updated_at, cancelled.order_id) > ($2, $3)
        ORDER BY cancelled.updated_at, cancelled.order_id
        LIMIT $4
    )
) AS orders
ORDER BY orders.updated_at, orders.order_id
LIMIT $4
