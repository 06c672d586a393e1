-- Whether a store makes more in a slot than it said, and whether what is booked is what was ordered. $1 what the shoppers' ids begin with, $2 what staff said each store makes in a slot during the run.
-- All orders count, also those of others, but no slots before this run's first: those may be
-- forgotten. In orders.state 3 is REJECTED, 7 CANCELLED and 8 FAILED, as in
-- tidegate.type.v1.OrderState: these hold no place.
WITH run AS (
    SELECT min(slot_starts_at) AS first_slot FROM orders WHERE starts_with(shopper_id, $1)
), held AS (
    SELECT store_id, slot_starts_at, count(*) AS orders, bool_or(starts_with(shopper_id, $1)) AS is_of_run
    FROM orders, run
    WHERE state NOT IN (3, 7, 8) AND slot_starts_at >= first_slot
    GROUP BY store_id, slot_starts_at
), booked AS (
    SELECT store_id, slot_starts_at, booked, capacity_when_booked
    FROM store_slots, run
    WHERE slot_starts_at >= first_slot
)
SELECT
    coalesce(sum(orders), 0)::bigint AS orders_in_slots,
    count(*) FILTER (WHERE orders > 0) AS slots,
    count(*) FILTER (WHERE orders = capacity_when_booked) AS full_slots,
    count(*) FILTER (WHERE coalesce(orders, 0) > coalesce(capacity_when_booked, 0)) AS wrong_slots_above_capacity,
    count(*) FILTER (WHERE coalesce(orders, 0) <> coalesce(booked, 0)) AS wrong_slots_whose_bookings_are_not_their_orders,
    count(*) FILTER (WHERE is_of_run AND capacity_when_booked <> $2) AS wrong_slots_with_another_capacity_than_staff_said
FROM held
FULL JOIN booked USING (store_id, slot_starts_at);
