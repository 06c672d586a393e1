-- Takes the rows of orders that are to be moved, as they are now, and tells which order of the same coupon has been paid with it. Nobody else moves them until this transaction ends.
--
-- Relies on: the list being sorted by (shopper_id, request_id), so that two writers lock in the same order; each look-up asking for its row in the order of its key, so that orders_order_id_is_unique and
-- orders_one_paid_per_coupon_of_shopper are probed whatever the planner believes. A code alone is
-- no coupon: two shoppers may have the same.
SELECT
    locked.shopper_id,
    locked.request_id,
    paid.order_id AS paid_order_id,
    locked.order_id, locked.area, locked.slot_starts_at, locked.slot_minutes, locked.state, locked.rejected_because, locked.rejection_metadata::text AS rejection_metadata, locked.failure_note,
    locked.discount_minor_units, locked.coupon_released_at, locked.traceparent, locked.created_at, locked.updated_at
FROM UNNEST($2::uuid[], $3::text[], $4::text[]) AS moved (order_id, shopper_id, coupon_code)
JOIN LATERAL (
    SELECT orders.*
    FROM orders
    WHERE orders.lane = $1 AND orders.order_id >= moved.order_id AND orders.order_id <= moved.order_id
    ORDER BY orders.order_id
    LIMIT 1
    FOR NO KEY UPDATE
) AS locked ON TRUE
LEFT JOIN LATERAL (
    SELECT orders.order_id
    FROM orders
    WHERE orders.lane = $1 AND orders.coupon_code = moved.coupon_code AND orders.shopper_id >= moved.shopper_id AND orders.shopper_id <= moved.shopper_id AND orders.state IN (2, 4, 5, 6)
    ORDER BY orders.shopper_id
    LIMIT 1
) AS paid ON TRUE
