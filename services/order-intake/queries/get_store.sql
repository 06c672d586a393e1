-- Relies on stores_key for the probe.
SELECT store_id, display_name, area
FROM stores
WHERE store_id = $1
