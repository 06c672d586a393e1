-- Writes down that staff close stores. Relies on store_closings_key: a name that was used before
-- changes nothing.
INSERT INTO store_closings (request_id, store_id, area, reason, fails_orders, stores_closed, created_at, finished_at, orders_failed, orders_rejected)
VALUES ($1, $2, $3, $4, $5, 0, $6, CASE WHEN NOT $5 THEN $6 END, CASE WHEN NOT $5 THEN 0 END, CASE WHEN NOT $5 THEN 0 END)
ON CONFLICT ON CONSTRAINT store_closings_key DO NOTHING
