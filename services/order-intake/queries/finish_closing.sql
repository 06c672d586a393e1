-- Writes down what a closing has done, once. Relies on store_closings_key and on the index
-- orders_ended_by_closing.
UPDATE store_closings
SET finished_at = $3, orders_failed = ended.failed, orders_rejected = ended.rejected
FROM (
    SELECT count(*) FILTER (WHERE orders.state = 8) AS failed, count(*) FILTER (WHERE orders.state = 3) AS rejected
    FROM orders
    WHERE orders.lane = ANY ($2) AND orders.ended_by_closing = $1
) AS ended
WHERE request_id = $1 AND finished_at IS NULL
