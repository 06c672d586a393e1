-- Stores, how much each makes in a slot of its own clock, and how much of that it has given away.
CREATE TABLE stores (
    store_id text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    area text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    -- Three numbers a stretch: weekday (1 is Monday), opening minute and closing minute of the day.
    weekly_hours smallint[] NOT NULL DEFAULT '{}' CONSTRAINT stores_weekly_hours_are_threes CHECK (cardinality(weekly_hours) % 3 = 0 AND cardinality(weekly_hours) <= 84),
    closed_days date[] NOT NULL DEFAULT '{}' CONSTRAINT stores_closed_days_in_bounds CHECK (cardinality(closed_days) <= 400),
    slot_minutes smallint NOT NULL DEFAULT 10 CONSTRAINT stores_slot_divides_an_hour CHECK (slot_minutes BETWEEN 1 AND 60 AND 60 % slot_minutes = 0),
    orders_per_slot integer NOT NULL DEFAULT 0 CONSTRAINT stores_orders_per_slot_in_bounds CHECK (orders_per_slot BETWEEN 0 AND 10000),
    is_closed boolean NOT NULL DEFAULT FALSE,
    closed_because text,
    -- The closing that a store is closed by: orders of a store that was opened again stay.
    closed_by text COLLATE "C",
    CONSTRAINT stores_key PRIMARY KEY (store_id),
    CONSTRAINT stores_only_closed_ones_have_a_reason CHECK (is_closed OR closed_because IS NULL),
    CONSTRAINT stores_only_closed_ones_are_closed_by CHECK (is_closed OR closed_by IS NULL)
);

-- Where to look for another store nearby.
CREATE INDEX stores_of_area ON stores (area, store_id);
-- Staff page through stores by their ids, also through those that are closed, or those of an area
-- that are. Few of many may be in the state asked for, so each state is a range of its own.
CREATE INDEX stores_of_state ON stores (is_closed, store_id);
CREATE INDEX stores_of_state_and_area ON stores (is_closed, area, store_id);
CREATE INDEX stores_closed_by_closing ON stores (closed_by, store_id) WHERE closed_by IS NOT NULL;

-- How much of its slots each store has given away. Written only by who holds the lock of the store's row.
CREATE TABLE store_slots (
    store_id text COLLATE "C" NOT NULL,
    slot_starts_at timestamptz NOT NULL,
    slot_minutes smallint NOT NULL,
    booked integer NOT NULL CONSTRAINT store_slots_booked_is_not_negative CHECK (booked >= 0),
    -- What the store made in a slot when the last order was booked: a smaller capacity later breaks no booking.
    capacity_when_booked integer NOT NULL,
    CONSTRAINT store_slots_key PRIMARY KEY (store_id, slot_starts_at),
    -- The last line of defence of stores-survive.
    CONSTRAINT store_slots_within_capacity CHECK (booked <= capacity_when_booked)
)
-- In a flood every slot of a page is booked anew by each batch. With room for three versions beside
-- each row all of them stay in its page, and the key gets no new entries.
WITH (fillfactor = 25);

-- What the retention job looks for.
CREATE INDEX store_slots_by_time ON store_slots (slot_starts_at);

-- Each call that closed stores, by the name its caller gave it.
CREATE TABLE store_closings (
    request_id text COLLATE "C" NOT NULL,
    -- One of the two.
    store_id text COLLATE "C",
    area text,
    reason text NOT NULL,
    fails_orders boolean NOT NULL,
    stores_closed integer NOT NULL,
    created_at timestamptz NOT NULL,
    -- Counted when nothing was left to do.
    finished_at timestamptz,
    orders_failed bigint,
    orders_rejected bigint,
    CONSTRAINT store_closings_key PRIMARY KEY (request_id),
    CONSTRAINT store_closings_has_one_scope CHECK ((store_id IS NULL) <> (area IS NULL)),
    CONSTRAINT store_closings_are_counted_at_the_end CHECK (
        (finished_at IS NULL) = (orders_failed IS NULL) AND (finished_at IS NULL) = (orders_rejected IS NULL)
    )
);

CREATE INDEX store_closings_unfinished ON store_closings (created_at) WHERE finished_at IS NULL;
