-- Forgets orders of a lane that were rejected before $2 because there is no such coupon, $3 at
-- most, with what they were made of. Relies on the index orders_never_real and on
-- order_details_key.
WITH forgotten AS (
    DELETE FROM orders
    WHERE lane = $1 AND order_id = ANY (ARRAY(
        SELECT order_id
        FROM orders
        WHERE lane = $1 AND rejected_because = 'COUPON_NOT_FOUND' AND updated_at < $2
        ORDER BY updated_at, order_id
        LIMIT $3
    ))
    RETURNING lane, order_id, (created_at AT TIME ZONE 'UTC')::date AS placed_on
), details AS (
    DELETE FROM order_details
    USING forgotten
    WHERE order_details.placed_on = forgotten.placed_on AND order_details.lane = forgotten.lane AND order_details.order_id = forgotten.order_id
)
SELECT count(*)
FROM forgotten
