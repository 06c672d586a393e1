-- The feed: every change of an order's state, in the transaction that made it.

CREATE TABLE order_events (
    happened_on date NOT NULL,
    lane smallint NOT NULL,
    -- Without gaps in a lane, and in the order of commits: see feed_heads.
    position bigint NOT NULL,
    order_id uuid NOT NULL,
    shopper_id text COLLATE "C" NOT NULL,
    store_id text COLLATE "C" NOT NULL,
    area text NOT NULL,
    state smallint NOT NULL CONSTRAINT order_events_state_is_known CHECK (state BETWEEN 1 AND 8),
    rejected_because text CONSTRAINT order_events_rejected_has_reason CHECK ((state = 3) = (rejected_because IS NOT NULL)),
    failure_note text CONSTRAINT order_events_failed_has_note CHECK ((state = 8) = (failure_note IS NOT NULL)),
    placed_on date NOT NULL,
    slot_starts_at timestamptz NOT NULL,
    slot_minutes smallint NOT NULL,
    happened_at timestamptz NOT NULL,
    -- The day comes last: within each day's table this is the order in which a lane is read.
    CONSTRAINT order_events_key PRIMARY KEY (lane, position, happened_on)
) PARTITION BY RANGE (happened_on);
CREATE TABLE order_events_of_other_days PARTITION OF order_events DEFAULT;

-- The last position of each lane. Whoever adds events holds this row until it commits, so a later position is never to be seen before an earlier one. A sequence would hand out positions that become
-- visible in another order, and a reader that had gone past would never see the late one.
CREATE TABLE feed_heads (
    lane smallint NOT NULL,
    last_position bigint NOT NULL,
    CONSTRAINT feed_heads_key PRIMARY KEY (lane)
) WITH (fillfactor = 50);

-- How far each consumer says it has come.
CREATE TABLE feed_cursors (
    consumer text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    position bigint NOT NULL CONSTRAINT feed_cursors_position_is_not_negative CHECK (position >= 0),
    CONSTRAINT feed_cursors_key PRIMARY KEY (consumer, lane)
);
