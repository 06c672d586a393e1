-- A page of slots before ($1, $2), $3 at most, the latest first: what is booked in each, how much the store could make when it was booked last, and how many orders hold a place in it.
-- In orders.state 3 is REJECTED, 7 CANCELLED and 8 FAILED, as in tidegate.type.v1.OrderState: these hold no place.
-- Relies on store_slots_by_time for the page and on orders_of_slot, which is probed lane by lane ($4); on being one statement, so that a booking and its order are seen together; and on an order having
-- been placed before its slot was over: orders are forgotten long after that.
WITH page AS MATERIALIZED (
    SELECT store_id, slot_starts_at, booked, capacity_when_booked
    FROM store_slots
    WHERE slot_starts_at <= $1 AND (slot_starts_at, store_id) < ($1, $2)
    ORDER BY slot_starts_at DESC, store_id DESC
    LIMIT $3
)
SELECT
    page.store_id,
    page.slot_starts_at,
    page.booked,
    page.capacity_when_booked,
    (
        SELECT count(*)
        FROM unnest($4::smallint[]) AS each (lane)
        JOIN orders
            ON orders.lane = each.lane AND orders.store_id = page.store_id AND orders.slot_starts_at = page.slot_starts_at
            AND orders.state IN (1, 2, 4, 5, 6)
    ) AS orders
FROM page
ORDER BY page.slot_starts_at DESC, page.store_id DESC
