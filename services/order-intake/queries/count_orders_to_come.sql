-- How many orders some shoppers have that are still to be made: PENDING or ACCEPTED, and in a slot
-- that is not over at $3. Counts no further than $4.
-- Relies on the index orders_to_come_of_shopper, which holds such orders only and gives the order
-- asked for without a sort; a slot has 60 minutes at most.
SELECT
    asked.shopper_id,
    (
        SELECT count(*)
        FROM (
            SELECT orders.order_id
            FROM orders
            WHERE orders.lane = $1 AND orders.shopper_id = asked.shopper_id AND orders.state IN (1, 2)
                AND orders.slot_starts_at > $3 - interval '60 minutes' AND orders.slot_starts_at + make_interval(mins => orders.slot_minutes) > $3
            ORDER BY orders.slot_starts_at
            LIMIT $4
        ) AS to_come
    ) AS orders
FROM UNNEST($2::text[]) AS asked (shopper_id)
