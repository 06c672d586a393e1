-- The slots of the stores with most orders of this run, and what each can make in them. $1 what the shoppers' ids begin with, $2 how many stores.
-- In orders.state 3 is REJECTED, 7 CANCELLED and 8 FAILED, as in tidegate.type.v1.OrderState: these
-- hold no place.
WITH run AS (
    SELECT min(slot_starts_at) AS first_slot FROM orders WHERE starts_with(shopper_id, $1)
), busiest AS (
    SELECT store_id, count(*) AS orders_of_run
    FROM orders
    WHERE starts_with(shopper_id, $1) AND state NOT IN (3, 7, 8)
    GROUP BY store_id
    ORDER BY orders_of_run DESC, store_id
    LIMIT $2
)
SELECT store_id, extract(epoch FROM slot_starts_at)::bigint, count(*), slot.capacity_when_booked::bigint
FROM busiest
JOIN orders USING (store_id)
JOIN store_slots AS slot USING (store_id, slot_starts_at), run
WHERE state NOT IN (3, 7, 8) AND slot_starts_at >= first_slot
GROUP BY store_id, orders_of_run, slot_starts_at, slot.capacity_when_booked
ORDER BY orders_of_run DESC, store_id, slot_starts_at;
