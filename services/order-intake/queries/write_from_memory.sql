-- Places orders and accepts others as their writer remembers their stores and has seen them, with
-- nothing read first. What is otherwise in truth is left out, and not among what comes back: the
-- writer decides it again under locks.
--
-- Relies on: no two items being of one order or of one coupon; each store being there once. A store
-- has the version that is remembered only if it was not changed and no place was given back there,
-- so slots without room still have none, and that a chosen one has room is checked where it is
-- booked. It never waits for the row of an order or a store, so it is in nobody's way whatever it
-- holds. Two writers that insert the same order run into orders_key, two that accept orders of one
-- coupon into orders_one_paid_per_coupon_of_shopper: then the whole batch is done again.
-- The head of the lane's feed is locked until the commit, as in write_orders.
--
-- $1 lane, $2 now, $3 today, $4 orders to come of a shopper, $5 how many of the latest are looked
-- at, $6 and $7 stores, $8 to $21 new orders, $22 to $24 acceptances.
WITH held_store AS MATERIALIZED (
    SELECT remembered.store_id
    FROM UNNEST($6::text[], $7::bigint[]) AS remembered (store_id, version)
    JOIN LATERAL (
        SELECT stores.version
        FROM stores
        WHERE stores.store_id >= remembered.store_id AND stores.store_id <= remembered.store_id
        ORDER BY stores.store_id
        LIMIT 1
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS held ON held.version = remembered.version
),
wanted AS MATERIALIZED (
    SELECT asked.*
    FROM UNNEST($8::text[], $9::text[], $10::uuid[], $11::text[], $12::text[], $13::timestamptz[], $14::smallint[], $15::integer[], $16::text[], $17::text[], $18::bytea[], $19::timestamptz[], $20::text[], $21::smallint[])
        AS asked (shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, capacity, coupon_code, lines, content_hash, latest_acceptable_at, traceparent, others_of_shopper)
    -- A subplan and not a join, so that each list is gone through once.
    WHERE (asked.store_id IN (SELECT store_id FROM held_store)) IS TRUE
    AND (
        SELECT orders.order_id
        FROM orders
        WHERE orders.lane = $1 AND orders.shopper_id = asked.shopper_id AND orders.request_id >= asked.request_id AND orders.request_id <= asked.request_id
        ORDER BY orders.request_id
        LIMIT 1
    ) IS NULL
    AND (
        SELECT count(*)
        FROM (
            SELECT orders.state, orders.slot_starts_at, orders.slot_minutes
            FROM orders
            WHERE orders.lane = $1 AND orders.shopper_id >= asked.shopper_id AND orders.shopper_id <= asked.shopper_id
            ORDER BY orders.shopper_id DESC, orders.created_at DESC
            LIMIT $5
        ) AS latest
        WHERE latest.state IN (1, 2) AND latest.slot_starts_at + make_interval(mins => latest.slot_minutes) > $2
    ) + asked.others_of_shopper < $4
),
booked AS (
    INSERT INTO store_slots (store_id, slot_starts_at, slot_minutes, booked, capacity_when_booked)
    SELECT store_id, slot_starts_at, max(slot_minutes), count(*), max(capacity)
    FROM wanted
    GROUP BY store_id, slot_starts_at
    ON CONFLICT ON CONSTRAINT store_slots_key DO UPDATE
    SET booked = store_slots.booked + excluded.booked, capacity_when_booked = excluded.capacity_when_booked
    WHERE store_slots.booked + excluded.booked <= excluded.capacity_when_booked
    RETURNING store_id, slot_starts_at
),
placed AS MATERIALIZED (
    SELECT wanted.*
    FROM wanted
    WHERE ((wanted.store_id, wanted.slot_starts_at) IN (SELECT store_id, slot_starts_at FROM booked)) IS TRUE
),
made AS (
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, latest_acceptable_at, traceparent, created_at, updated_at)
    SELECT $1, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, 1, coupon_code, content_hash, latest_acceptable_at, traceparent, $2, $2
    FROM placed
),
detailed AS (
    INSERT INTO order_details (placed_on, lane, order_id, lines)
    SELECT $3, $1, order_id, lines::jsonb
    FROM placed
),
accepted AS MATERIALIZED (
    SELECT pending.*, seen.discount_minor_units AS next_discount_minor_units
    FROM UNNEST($22::uuid[], $23::timestamptz[], $24::bigint[]) AS seen (order_id, slot_starts_at, discount_minor_units)
    JOIN LATERAL (
        SELECT orders.*
        FROM orders
        WHERE orders.lane = $1 AND orders.order_id >= seen.order_id AND orders.order_id <= seen.order_id
        ORDER BY orders.order_id
        LIMIT 1
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS pending ON pending.state = 1 AND pending.slot_starts_at = seen.slot_starts_at
    WHERE (
        SELECT orders.order_id
        FROM orders
        WHERE orders.lane = $1 AND orders.coupon_code = pending.coupon_code AND orders.shopper_id >= pending.shopper_id AND orders.shopper_id <= pending.shopper_id AND orders.state IN (2, 4, 5, 6)
        ORDER BY orders.shopper_id
        LIMIT 1
    ) IS NULL
),
rewritten AS (
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, discount_minor_units, coupon_code, content_hash, created_at, updated_at)
    SELECT lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, 2, next_discount_minor_units, coupon_code, content_hash, created_at, $2
    FROM accepted
    ON CONFLICT ON CONSTRAINT orders_key DO UPDATE
    SET state = excluded.state, discount_minor_units = excluded.discount_minor_units, updated_at = excluded.updated_at
),
event AS MATERIALIZED (
    SELECT order_id, shopper_id, store_id, area, 1::smallint AS state, $3 AS placed_on, slot_starts_at, slot_minutes
    FROM placed
    UNION ALL
    SELECT order_id, shopper_id, store_id, area, 2::smallint, (created_at AT TIME ZONE 'UTC')::date, slot_starts_at, slot_minutes
    FROM accepted
),
head AS (
    INSERT INTO feed_heads (lane, last_position)
    SELECT $1, count(*)
    FROM event
    HAVING count(*) > 0
    ON CONFLICT ON CONSTRAINT feed_heads_key DO UPDATE
    SET last_position = feed_heads.last_position + excluded.last_position
    RETURNING last_position
)
INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, placed_on, slot_starts_at, slot_minutes, happened_at)
SELECT
    $3, $1, head.last_position + 1 - row_number() OVER (),
    event.order_id, event.shopper_id, event.store_id, event.area, event.state, event.placed_on, event.slot_starts_at, event.slot_minutes, $2
FROM head, event
RETURNING order_id
