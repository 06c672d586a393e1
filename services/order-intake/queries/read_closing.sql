-- What a closing was asked for, and what it has done: counted from the orders themselves until it
-- is finished. Relies on store_closings_key and on the index orders_ended_by_closing.
SELECT
    closing.request_id, closing.store_id, closing.area, closing.reason, closing.fails_orders, closing.stores_closed, closing.finished_at,
    coalesce(closing.orders_failed, ended.failed) AS orders_failed,
    coalesce(closing.orders_rejected, ended.rejected) AS orders_rejected
FROM store_closings AS closing
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE orders.state = 8) AS failed, count(*) FILTER (WHERE orders.state = 3) AS rejected
    FROM orders
    WHERE orders.lane = ANY ($2) AND orders.ended_by_closing = closing.request_id
) AS ended
WHERE closing.request_id = $1
