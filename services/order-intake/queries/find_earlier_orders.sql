-- The orders that earlier requests with the keys of a batch have made.
--
-- Its plan must be one index probe an item even if it was made when the table was empty, since it is kept for as long as the connection. On an empty table every index costs the same, also one of
-- which only `lane` fits. So each look-up asks for the first row from its key on, in the order of that key: only the index that is meant, here orders_key, gives that order without a sort, which settles
-- the tie.
SELECT
    earlier.shopper_id,
    earlier.request_id,
    earlier.content_hash = asked.content_hash AS is_same,
    earlier.order_id, earlier.area, earlier.slot_starts_at, earlier.slot_minutes, earlier.state, earlier.rejected_because, earlier.rejection_metadata::text AS rejection_metadata, earlier.failure_note,
    earlier.discount_minor_units, earlier.coupon_released_at, earlier.traceparent, earlier.created_at, earlier.updated_at
FROM UNNEST($2::text[], $3::text[], $4::bytea[]) AS asked (shopper_id, request_id, content_hash)
JOIN LATERAL (
    SELECT orders.*
    FROM orders
    WHERE orders.lane = $1 AND orders.shopper_id = asked.shopper_id AND orders.request_id >= asked.request_id AND orders.request_id <= asked.request_id
    ORDER BY orders.request_id
    LIMIT 1
) AS earlier ON TRUE
