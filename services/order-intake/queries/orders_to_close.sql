-- Orders of a lane that stores have not begun and that a closing is to end: of stores that are
-- closed by it still, PENDING and ACCEPTED ones whose slot began at $3 or later. What is PENDING
-- since before then is too late for its shopper, and recovery rejects it.
-- Relies on the indexes stores_closed_by_closing and orders_of_slot, of which it reads beside them
-- only orders of the same slots that stores have begun, and on order_details_key. Only orders_of_slot
-- gives a store's orders in the order asked for, so it is probed whatever the planner believes.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM stores
CROSS JOIN LATERAL (
    SELECT not_begun.*
    FROM orders AS not_begun
    WHERE not_begun.lane = $1 AND not_begun.store_id >= stores.store_id AND not_begun.store_id <= stores.store_id
        AND not_begun.state IN (1, 2) AND not_begun.slot_starts_at >= $3
    ORDER BY not_begun.store_id, not_begun.slot_starts_at
    LIMIT $4
) AS orders
JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
WHERE stores.closed_by = $2
LIMIT $4
