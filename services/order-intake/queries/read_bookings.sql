-- What is booked at stores from $2 to $3, one row a store. Only store_slots_key fits a comparison
-- that begins with the store, so it is probed whatever the planner believes: that of times alone
-- would read every store's slots for each of them. To be right, it runs after the stores were locked,
-- as a statement of its own: it must see what the last holder of the lock committed.
SELECT wanted.store_id, slots.starts_at, slots.minutes, slots.booked, slots.capacity_when_booked
FROM UNNEST($1::text[]) AS wanted (store_id)
JOIN LATERAL (
    SELECT
        array_agg(slot.slot_starts_at) AS starts_at,
        array_agg(slot.slot_minutes) AS minutes,
        array_agg(slot.booked) AS booked,
        array_agg(slot.capacity_when_booked) AS capacity_when_booked
    FROM (
        SELECT store_slots.*
        FROM store_slots
        WHERE (store_slots.store_id, store_slots.slot_starts_at) >= (wanted.store_id, $2) AND (store_slots.store_id, store_slots.slot_starts_at) <= (wanted.store_id, $3)
        ORDER BY store_slots.store_id, store_slots.slot_starts_at
    ) AS slot
) AS slots ON slots.starts_at IS NOT NULL
