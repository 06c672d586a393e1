-- A page of the orders of the store $1 by their slots, from after the order ($3, $4) to the slot $5:
-- of those that hold a place if $6 and of the others if $7, those in the states $8; $9 at most.
-- There are no more than $10 of a lane of $2 in these slots. An order whose details are no longer
-- kept has no lines.
-- Relies on orders_of_slot and orders_ended_of_slot: rows are compared whole with what they are
-- sorted by, so that no other index fits, and each is read from the first to the last entry that is
-- asked for. What they give is then sorted. Relies on order_details_key as well.
SELECT orders.shopper_id, orders.request_id, orders.order_id, orders.store_id, orders.area, orders.slot_starts_at, orders.slot_minutes, orders.state, orders.rejected_because, orders.rejection_metadata::text AS rejection_metadata, orders.failure_note,
    orders.discount_minor_units, orders.coupon_released_at, orders.coupon_code, order_details.lines::text AS lines, orders.latest_acceptable_at, orders.traceparent, orders.created_at, orders.updated_at
FROM (
    SELECT listed.*
    FROM unnest($2::smallint[]) AS each (lane)
    CROSS JOIN LATERAL (
        (
            SELECT holding.*
            FROM orders AS holding
            WHERE $6 AND holding.lane = each.lane AND holding.state IN (1, 2, 4, 5, 6)
                AND (holding.store_id, holding.slot_starts_at) >= ($1, $3) AND (holding.store_id, holding.slot_starts_at) <= ($1, $5)
                AND (holding.slot_starts_at, holding.order_id) > ($3, $4) AND holding.state = ANY ($8)
            ORDER BY holding.store_id, holding.slot_starts_at
            LIMIT $10
        )
        UNION ALL
        (
            SELECT ended.*
            FROM orders AS ended
            WHERE $7 AND ended.lane = each.lane AND ended.state IN (3, 7, 8)
                AND (ended.store_id, ended.slot_starts_at, ended.order_id) > ($1, $3, $4) AND (ended.store_id, ended.slot_starts_at) <= ($1, $5)
                AND ended.state = ANY ($8)
            ORDER BY ended.store_id, ended.slot_starts_at, ended.order_id
            LIMIT $9
        )
    ) AS listed
    ORDER BY listed.slot_starts_at, listed.order_id
    LIMIT $9
) AS orders
LEFT JOIN order_details ON order_details.placed_on = (orders.created_at AT TIME ZONE 'UTC')::date AND order_details.lane = orders.lane AND order_details.order_id = orders.order_id
ORDER BY orders.slot_starts_at, orders.order_id
