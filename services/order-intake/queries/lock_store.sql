-- Takes the row of a store, and waits for the batch that books there at this moment. Relies on
-- stores_key.
SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
FROM stores
WHERE store_id = $1
FOR NO KEY UPDATE
