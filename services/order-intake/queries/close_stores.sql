-- Closes stores whose rows this transaction holds, and counts them. Relies on stores_key and
-- store_closings_key.
WITH closed AS (
    UPDATE stores
    SET is_closed = TRUE, closed_because = $3, closed_by = $1
    WHERE store_id = ANY ($2)
)
UPDATE store_closings
SET stores_closed = cardinality($2)
WHERE request_id = $1
