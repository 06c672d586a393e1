-- Relies on stores_key. Waits for the batch that books at the store at this moment; whatever is
-- booked after it meets the new state, and a closing of stores that is under way leaves the store's
-- orders alone from then on.
UPDATE stores
SET is_closed = $2, closed_because = $3, closed_by = NULL
WHERE store_id = $1
RETURNING store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
