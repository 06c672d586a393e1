-- Closes stores whose rows this transaction holds, and counts them. A closing that keeps orders ($4
-- is false) leaves a store to the closing that fails its orders already. Relies on stores_key and
-- store_closings_key.
WITH closed AS (
    UPDATE stores
    SET is_closed = TRUE, closed_because = $3, closed_by = CASE WHEN $4 THEN $1 ELSE closed_by END
    WHERE store_id = ANY ($2)
)
UPDATE store_closings
SET stores_closed = cardinality($2)
WHERE request_id = $1
