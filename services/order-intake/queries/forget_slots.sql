-- Forgets what was booked before $1, $2 slots at most. Relies on the index store_slots_by_time.
DELETE FROM store_slots
WHERE ctid = ANY (ARRAY(SELECT ctid FROM store_slots WHERE slot_starts_at < $1 ORDER BY slot_starts_at LIMIT $2))
