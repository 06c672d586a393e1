-- Takes the rows of stores that a batch books at, and waits for those that others hold: nobody else books there, or changes the store, until this transaction ends.
--
-- Relies on: the list being sorted and without duplicates, so that two writers lock in the same order; stores_key, which is probed whatever the planner believes.
SELECT
    wanted.store_id AS wanted_id,
    -- A scalar subquery and not EXISTS, which the planner may turn into a hash of all stores.
    (SELECT TRUE FROM stores WHERE stores.store_id = wanted.store_id) IS TRUE AS is_there,
    locked.*
FROM UNNEST($1::text[]) AS wanted (store_id)
LEFT JOIN LATERAL (
    SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because, version
    FROM stores
    WHERE stores.store_id >= wanted.store_id AND stores.store_id <= wanted.store_id
    ORDER BY stores.store_id
    LIMIT 1
    FOR NO KEY UPDATE
) AS locked ON TRUE
