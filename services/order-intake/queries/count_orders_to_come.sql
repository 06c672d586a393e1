-- How many orders some shoppers have that are still to be made: PENDING or ACCEPTED, and in a slot
-- that is not over at $3. Of each shopper's orders the latest $4 are looked at.
-- Relies on the index orders_of_shopper: only it gives a shopper's orders in the order asked for
-- without a sort, so it is probed whatever the planner believes of a young table.
SELECT
    asked.shopper_id,
    (
        SELECT count(*)
        FROM (
            SELECT orders.state, orders.slot_starts_at, orders.slot_minutes
            FROM orders
            WHERE orders.lane = $1 AND orders.shopper_id >= asked.shopper_id AND orders.shopper_id <= asked.shopper_id
            ORDER BY orders.shopper_id DESC, orders.created_at DESC
            LIMIT $4
        ) AS latest
        WHERE latest.state IN (1, 2) AND latest.slot_starts_at + make_interval(mins => latest.slot_minutes) > $3
    ) AS orders
FROM UNNEST($2::text[]) AS asked (shopper_id)
