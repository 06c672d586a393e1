-- Other stores of an area that take orders, beginning after the store $2 and going round, so that not everybody is sent to the same few. Relies on the index stores_of_area, and reads at most twice the limit.
SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
FROM (
    (SELECT 1 AS round, after.* FROM stores AS after WHERE after.area = $1 AND after.store_id > $2 ORDER BY after.store_id LIMIT $3)
    UNION ALL
    (SELECT 2 AS round, before.* FROM stores AS before WHERE before.area = $1 AND before.store_id < $2 ORDER BY before.store_id LIMIT $3)
) AS nearby
WHERE NOT is_closed AND orders_per_slot > 0
ORDER BY round, store_id
LIMIT $3
