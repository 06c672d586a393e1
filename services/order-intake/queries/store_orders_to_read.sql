-- Whether there is a store $1, and how far a page of its orders reads that begins in the slot $3: to
-- the slot of the order that comes $5 orders after that slot in a lane of $2, in the first lane that
-- has so many until $4. Unset if none has: then nothing is left behind $4. $6 and $7 tell whether
-- orders count that hold a place, and those that do not.
-- Relies on stores_key, and on orders_of_slot and orders_ended_of_slot: rows are compared whole with
-- what they are sorted by, so that no other index fits, and each is read from the first to the last
-- entry that is asked for.
SELECT (
    SELECT min(far.slot_starts_at)
    FROM unnest($2::smallint[]) AS each (lane)
    CROSS JOIN LATERAL (
        (
            SELECT holding.slot_starts_at
            FROM orders AS holding
            WHERE $6 AND holding.lane = each.lane AND holding.state IN (1, 2, 4, 5, 6)
                AND (holding.store_id, holding.slot_starts_at) > ($1, $3) AND (holding.store_id, holding.slot_starts_at) <= ($1, $4)
            ORDER BY holding.store_id, holding.slot_starts_at
            OFFSET $5
            LIMIT 1
        )
        UNION ALL
        (
            SELECT ended.slot_starts_at
            FROM orders AS ended
            WHERE $7 AND ended.lane = each.lane AND ended.state IN (3, 7, 8)
                AND (ended.store_id, ended.slot_starts_at) > ($1, $3) AND (ended.store_id, ended.slot_starts_at) <= ($1, $4)
            ORDER BY ended.store_id, ended.slot_starts_at
            OFFSET $5
            LIMIT 1
        )
    ) AS far
) AS last_slot
FROM stores
WHERE store_id = $1
