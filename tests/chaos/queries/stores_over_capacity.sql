-- Slots whose bookings are not those of their orders. In orders.state 3 is REJECTED, 7 CANCELLED
-- and 8 FAILED, as in tidegate.type.v1.OrderState: these hold no place. One statement, so all of it
-- is of one instant.
WITH held AS (
    SELECT
        store_id,
        slot_starts_at,
        count(*) AS orders
    FROM orders
    WHERE state NOT IN (3, 7, 8)
    GROUP BY store_id, slot_starts_at
)
SELECT
    coalesce(store_slots.store_id, held.store_id) AS store_id,
    coalesce(store_slots.slot_starts_at, held.slot_starts_at)::text AS slot_starts_at,
    coalesce(store_slots.booked, 0)::bigint AS booked,
    coalesce(store_slots.capacity_when_booked, 0)::bigint AS capacity_when_booked,
    coalesce(held.orders, 0) AS orders
FROM store_slots
FULL JOIN held ON held.store_id = store_slots.store_id AND held.slot_starts_at = store_slots.slot_starts_at
WHERE coalesce(store_slots.booked, 0) <> coalesce(held.orders, 0) OR store_slots.booked > store_slots.capacity_when_booked;
