-- Relies on stores_key for the probe.
SELECT store_id, display_name, area, opens_at_minute, closes_at_minute, utc_offset_minutes, slot_minutes, orders_per_slot, is_closed, closed_because
FROM stores
WHERE store_id = $1
