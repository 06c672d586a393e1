-- Writes what a batch of one lane has decided: new orders as PENDING, moves of orders, what is now booked, and one event for each change of a state.
--
-- Relies on: no two items being of the same order; the rows of moved orders and of stores being locked by this transaction; the key orders_key, into which two writers run that insert the same order,
-- upon which the whole batch is done again and finds what the other wrote. Moves are written as an upsert, because an UPDATE would be a join that the planner may turn round: the conflict is found by the
-- key itself, whatever the plan.
--
-- The head of the lane's feed is locked last and until the commit, so positions are in the order of commits and without gaps.
--
-- $1 lane, $2 now, $3 today, $4 to $15 new orders, $16 to $26 moves, $27 to $31 what is booked.
WITH placed AS MATERIALIZED (
    SELECT *
    FROM UNNEST($4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::timestamptz[], $10::smallint[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[], $15::text[])
        AS placed (shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, coupon_code, lines, content_hash, latest_acceptable_at, traceparent)
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
moved AS MATERIALIZED (
    SELECT
        orders.*,
        moved.state AS next_state,
        moved.rejected_because AS next_rejected_because,
        moved.rejection_metadata AS next_rejection_metadata,
        moved.discount_minor_units AS next_discount_minor_units,
        moved.coupon_released_at AS next_coupon_released_at,
        moved.owes_coupon AS next_owes_coupon,
        moved.failure_note AS next_failure_note,
        moved.slot_starts_at AS next_slot_starts_at,
        moved.slot_minutes AS next_slot_minutes,
        moved.ended_by_closing AS next_ended_by_closing
    FROM UNNEST($16::uuid[], $17::smallint[], $18::text[], $19::text[], $20::bigint[], $21::timestamptz[], $22::boolean[], $23::text[], $24::timestamptz[], $25::smallint[], $26::text[])
        AS moved (order_id, state, rejected_because, rejection_metadata, discount_minor_units, coupon_released_at, owes_coupon, failure_note, slot_starts_at, slot_minutes, ended_by_closing)
    JOIN LATERAL (
        SELECT orders.*
        FROM orders
        WHERE orders.lane = $1 AND orders.order_id >= moved.order_id AND orders.order_id <= moved.order_id
        ORDER BY orders.order_id
        LIMIT 1
    ) AS orders ON TRUE
),
rewritten AS (
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, rejected_because, rejection_metadata, discount_minor_units, coupon_released_at,
        owes_coupon, failure_note, ended_by_closing, coupon_code, content_hash, latest_acceptable_at, traceparent, created_at, updated_at)
    SELECT lane, shopper_id, request_id, order_id, store_id, area, next_slot_starts_at, next_slot_minutes, next_state, next_rejected_because, next_rejection_metadata::jsonb, next_discount_minor_units, next_coupon_released_at,
        next_owes_coupon, next_failure_note, next_ended_by_closing, coupon_code, content_hash, latest_acceptable_at, traceparent, created_at, CASE next_state WHEN state THEN updated_at ELSE $2 END
    FROM moved
    ON CONFLICT ON CONSTRAINT orders_key DO UPDATE
    SET
        state = excluded.state,
        rejected_because = excluded.rejected_because,
        rejection_metadata = excluded.rejection_metadata,
        discount_minor_units = excluded.discount_minor_units,
        coupon_released_at = excluded.coupon_released_at,
        owes_coupon = excluded.owes_coupon,
        failure_note = excluded.failure_note,
        slot_starts_at = excluded.slot_starts_at,
        slot_minutes = excluded.slot_minutes,
        ended_by_closing = coalesce(orders.ended_by_closing, excluded.ended_by_closing),
        updated_at = excluded.updated_at
),
booked AS (
    INSERT INTO store_slots (store_id, slot_starts_at, slot_minutes, booked, capacity_when_booked)
    SELECT *
    FROM UNNEST($27::text[], $28::timestamptz[], $29::smallint[], $30::integer[], $31::integer[])
    ON CONFLICT ON CONSTRAINT store_slots_key DO UPDATE
    SET slot_minutes = excluded.slot_minutes, booked = excluded.booked, capacity_when_booked = excluded.capacity_when_booked
),
event AS MATERIALIZED (
    SELECT order_id, shopper_id, store_id, area, 1::smallint AS state, NULL AS rejected_because, NULL AS failure_note, $3 AS placed_on, slot_starts_at, slot_minutes
    FROM placed
    UNION ALL
    SELECT order_id, shopper_id, store_id, area, next_state, next_rejected_because, next_failure_note, (created_at AT TIME ZONE 'UTC')::date, next_slot_starts_at, next_slot_minutes
    FROM moved
    WHERE next_state <> state
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
INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, rejected_because, failure_note, placed_on, slot_starts_at, slot_minutes, happened_at)
SELECT
    $3, $1, head.last_position + 1 - row_number() OVER (),
    event.order_id, event.shopper_id, event.store_id, event.area, event.state, event.rejected_because, event.failure_note, event.placed_on, event.slot_starts_at, event.slot_minutes, $2
FROM head, event
