-- Makes or changes stores; what is NULL stays as it is, or gets its default. Relies on stores_key, and on the list being sorted by it with each id once, so that this and the batches of orders lock rows in
-- the same order. Hours and days come as the texts of arrays, since arrays of arrays cannot be
-- taken apart row by row. The row is locked where it is read, so that two callers never undo each
-- other's changes.
WITH given AS MATERIALIZED (
    SELECT
        given.store_id,
        given.display_name,
        given.area,
        coalesce(given.time_zone, known.time_zone, 'UTC') AS time_zone,
        coalesce(given.weekly_hours::smallint[], known.weekly_hours, '{}') AS weekly_hours,
        coalesce(given.closed_days::date[], known.closed_days, '{}') AS closed_days,
        coalesce(given.slot_minutes, known.slot_minutes, 10::smallint) AS slot_minutes,
        coalesce(given.orders_per_slot, known.orders_per_slot, 0) AS orders_per_slot,
        coalesce(given.is_closed, known.is_closed, FALSE) AS is_closed,
        known.closed_because,
        known.closed_by,
        known.was
    FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::integer[], $9::boolean[])
        AS given (store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed)
    LEFT JOIN LATERAL (
        SELECT stores AS was, stores.*
        FROM stores
        WHERE stores.store_id >= given.store_id AND stores.store_id <= given.store_id
        ORDER BY stores.store_id
        LIMIT 1
        FOR NO KEY UPDATE
    ) AS known ON TRUE
),
kept AS (
    INSERT INTO stores (store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because, closed_by)
    SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, CASE WHEN is_closed THEN closed_because END, CASE WHEN is_closed THEN closed_by END
    FROM given
    ORDER BY store_id
    ON CONFLICT ON CONSTRAINT stores_key DO UPDATE
    SET
        display_name = excluded.display_name,
        area = excluded.area,
        time_zone = excluded.time_zone,
        weekly_hours = excluded.weekly_hours,
        closed_days = excluded.closed_days,
        slot_minutes = excluded.slot_minutes,
        orders_per_slot = excluded.orders_per_slot,
        is_closed = excluded.is_closed,
        closed_because = excluded.closed_because,
        closed_by = excluded.closed_by
)
SELECT FALSE AS is_now, (was).store_id, (was).display_name, (was).area, (was).time_zone, (was).weekly_hours, (was).closed_days, (was).slot_minutes, (was).orders_per_slot, (was).is_closed, (was).closed_because
FROM given
WHERE (was).store_id IS NOT NULL
UNION ALL
SELECT TRUE, store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, CASE WHEN is_closed THEN closed_because END
FROM given
