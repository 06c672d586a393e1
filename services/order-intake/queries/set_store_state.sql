-- Relies on stores_key. Waits for the batch that books at the store at this moment; whatever is
-- booked after it meets the new state. A closing of stores that is under way leaves the store's
-- orders alone once the store is open again, and goes on if it stays closed.
UPDATE stores
SET is_closed = $2, closed_because = $3, closed_by = CASE WHEN $2 THEN closed_by END
WHERE store_id = $1
RETURNING store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
