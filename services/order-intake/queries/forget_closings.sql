-- Forgets closings that were finished before $1, $2 at most. Relies on there being few of them.
DELETE FROM store_closings
WHERE request_id = ANY (ARRAY(SELECT request_id FROM store_closings WHERE finished_at < $1 LIMIT $2))
