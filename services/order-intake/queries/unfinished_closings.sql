-- Closings that still have something to do, the oldest first. Relies on the index
-- store_closings_unfinished, which holds such rows only.
SELECT request_id, reason
FROM store_closings
WHERE finished_at IS NULL
ORDER BY created_at
LIMIT $1
