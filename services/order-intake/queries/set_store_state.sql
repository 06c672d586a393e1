-- Relies on stores_key. Waits for the batch that books at the store at this moment; whatever is booked after it meets the new state.
UPDATE stores
SET is_closed = $2, closed_because = $3
WHERE store_id = $1
RETURNING store_id, display_name, area, opens_at_minute, closes_at_minute, utc_offset_minutes, slot_minutes, orders_per_slot, is_closed, closed_because
