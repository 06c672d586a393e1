-- One batch of one lane, in one commit: new orders become PENDING, and PENDING orders get their outcome. Answers one row an item: what now stands.
--
-- Relies on: no two items having the same (shopper_id, request_id); both lists being sorted by it, so that two writers lock rows in the same order; the key orders_key, into which two writers run
-- that insert the same order, upon which the whole batch is done again and finds what the other wrote.
--
-- Its plan must be one index probe an item even if it was made when the table was empty, since it is kept for as long as the connection. On an empty table every index costs the same, also one of
-- which only `lane` fits. So each look-up asks for the first row from its key on, in the order of that key: only the index that is meant gives that order without a sort, which settles the tie.
--
-- $1 lane, $2 now, $3 to $11 new orders, $12 to $17 outcomes.
WITH place AS MATERIALIZED (
    SELECT
        place.*,
        earlier.order_id AS earlier_order_id,
        earlier.state AS earlier_state,
        earlier.rejected_because AS earlier_rejected_because,
        earlier.rejection_metadata AS earlier_rejection_metadata,
        earlier.traceparent AS earlier_traceparent,
        earlier.created_at AS earlier_created_at,
        earlier.updated_at AS earlier_updated_at,
        earlier.content_hash = place.content_hash AS earlier_is_same,
        -- A scalar subquery and not EXISTS, which the planner may turn into a hash of all stores.
        (SELECT TRUE FROM stores WHERE stores.store_id = place.store_id) IS TRUE AS store_exists
    FROM UNNEST($3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bytea[], $10::timestamptz[], $11::text[])
        WITH ORDINALITY AS place (shopper_id, request_id, order_id, store_id, coupon_code, lines, content_hash, latest_acceptable_at, traceparent, ordinal)
    LEFT JOIN LATERAL (
        SELECT orders.*
        FROM orders
        WHERE orders.lane = $1 AND orders.shopper_id = place.shopper_id AND orders.request_id >= place.request_id
        ORDER BY orders.request_id
        LIMIT 1
    ) AS earlier ON earlier.request_id = place.request_id
),
placed AS (
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, state, coupon_code, lines, content_hash, latest_acceptable_at, traceparent, created_at, updated_at)
    SELECT $1, shopper_id, request_id, order_id, store_id, 1, coupon_code, lines::jsonb, content_hash, latest_acceptable_at, traceparent, $2, $2
    FROM place
    WHERE earlier_order_id IS NULL AND store_exists
    ORDER BY ordinal
),
outcome AS MATERIALIZED (
    SELECT
        outcome.ordinal,
        pending.*,
        -- An order cannot be accepted with a coupon that has paid for another one.
        CASE WHEN paid.order_id IS NULL THEN outcome.state ELSE 3 END AS next_state,
        CASE WHEN paid.order_id IS NULL THEN outcome.rejected_because ELSE 'COUPON_REDEEMED' END AS next_rejected_because,
        CASE WHEN paid.order_id IS NULL THEN outcome.rejection_metadata::jsonb ELSE jsonb_build_object('order_id', paid.order_id) END AS next_rejection_metadata
    FROM UNNEST($12::text[], $13::text[], $14::text[], $15::smallint[], $16::text[], $17::text[])
        WITH ORDINALITY AS outcome (shopper_id, request_id, coupon_code, state, rejected_because, rejection_metadata, ordinal)
    JOIN LATERAL (
        SELECT orders.*
        FROM orders
        WHERE orders.lane = $1 AND orders.shopper_id = outcome.shopper_id AND orders.request_id >= outcome.request_id
        ORDER BY orders.request_id
        LIMIT 1
    ) AS pending ON pending.request_id = outcome.request_id
    LEFT JOIN LATERAL (
        SELECT accepted.order_id, accepted.coupon_code
        FROM orders AS accepted
        WHERE accepted.lane = $1 AND accepted.coupon_code >= outcome.coupon_code AND accepted.state = 2
        ORDER BY accepted.coupon_code
        LIMIT 1
    ) AS paid ON paid.coupon_code = outcome.coupon_code AND paid.order_id <> pending.order_id AND outcome.state = 2
),
settled AS (
    -- An UPDATE would be a join that the planner may turn round; the conflict is found by the key itself, whatever the plan, and on the row as it is now: when two replicas settle one order at the
    -- same time, the second one sees, keeps and answers what the first one wrote.
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata, coupon_code, lines, content_hash, latest_acceptable_at, traceparent, created_at, updated_at)
    SELECT lane, shopper_id, request_id, order_id, store_id, next_state, next_rejected_because, next_rejection_metadata, coupon_code, lines, content_hash, latest_acceptable_at, traceparent, created_at, $2
    FROM outcome
    ORDER BY ordinal
    ON CONFLICT ON CONSTRAINT orders_key DO UPDATE
    SET
        state = CASE orders.state WHEN 1 THEN excluded.state ELSE orders.state END,
        rejected_because = CASE orders.state WHEN 1 THEN excluded.rejected_because ELSE orders.rejected_because END,
        rejection_metadata = CASE orders.state WHEN 1 THEN excluded.rejection_metadata ELSE orders.rejection_metadata END,
        updated_at = CASE orders.state WHEN 1 THEN excluded.updated_at ELSE orders.updated_at END
    RETURNING shopper_id, request_id, order_id, state, rejected_because, rejection_metadata, traceparent, created_at, updated_at
)
SELECT
    shopper_id,
    request_id,
    coalesce(earlier_order_id, order_id) AS order_id,
    coalesce(earlier_state, 1::smallint) AS state,
    earlier_rejected_because AS rejected_because,
    earlier_rejection_metadata::text AS rejection_metadata,
    CASE WHEN earlier_order_id IS NULL THEN traceparent ELSE earlier_traceparent END AS traceparent,
    coalesce(earlier_created_at, $2) AS created_at,
    coalesce(earlier_updated_at, $2) AS updated_at,
    -- A batch that is done again after a lost connection finds its own rows, and they are no replays.
    coalesce(earlier_order_id <> order_id, FALSE) AS replayed,
    earlier_is_same IS FALSE AS conflicts,
    earlier_order_id IS NULL AND NOT store_exists AS lacks_store
FROM place
UNION ALL
SELECT
    shopper_id, request_id, order_id, state, rejected_because, rejection_metadata::text, traceparent, created_at, updated_at, FALSE, FALSE, FALSE
FROM settled
