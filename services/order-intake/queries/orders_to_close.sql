-- Orders of a lane that stores have not begun and that a closing is to end: of stores that are
-- closed by it still, PENDING ones, and ACCEPTED ones whose slot began at $3 or later.
-- Relies on the indexes stores_closed_by_closing, orders_pending_of_store and orders_of_slot, of
-- which it reads beside them only orders of the same slots that stores have begun, and on
-- order_details_key. Each look-up asks for its rows in the order of its index, so that this is probed whatever the planner believes.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM stores
CROSS JOIN LATERAL (
    (
        SELECT pending.*
        FROM orders AS pending
        WHERE pending.lane = $1 AND pending.store_id = stores.store_id AND pending.state = 1
        ORDER BY pending.lane, pending.store_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT accepted.*
        FROM orders AS accepted
        WHERE accepted.lane = $1 AND accepted.store_id = stores.store_id AND accepted.state = 2 AND accepted.slot_starts_at >= $3
        ORDER BY accepted.slot_starts_at
        LIMIT $4
    )
) AS orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE stores.closed_by = $2
LIMIT $4
