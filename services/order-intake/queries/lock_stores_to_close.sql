-- Takes the rows of a store, or of all stores of an area, by id as everybody does, and waits for
-- the batches that book there.
-- Relies on stores_key, and on the index stores_of_area.
SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
FROM stores
WHERE store_id = $1 OR area = $2
ORDER BY store_id
FOR NO KEY UPDATE
