-- Stores say when they make how much, and every order holds a place in a slot of its store. What an order was made of moves to a table of its own, so that it can be forgotten sooner than its key.

ALTER TABLE stores
    ADD COLUMN opens_at_minute smallint NOT NULL DEFAULT 0 CONSTRAINT stores_opens_at_a_minute_of_the_day CHECK (opens_at_minute BETWEEN 0 AND 1439),
    ADD COLUMN closes_at_minute smallint NOT NULL DEFAULT 0 CONSTRAINT stores_closes_at_a_minute_of_the_day CHECK (closes_at_minute BETWEEN 0 AND 1439),
    ADD COLUMN utc_offset_minutes smallint NOT NULL DEFAULT 0 CONSTRAINT stores_utc_offset_in_bounds CHECK (utc_offset_minutes BETWEEN -720 AND 840),
    ADD COLUMN slot_minutes smallint NOT NULL DEFAULT 10 CONSTRAINT stores_slot_divides_an_hour CHECK (slot_minutes BETWEEN 1 AND 60 AND 60 % slot_minutes = 0),
    -- Stores from before there were slots took whatever came, and go on doing so until they say how much they make.
    ADD COLUMN orders_per_slot integer NOT NULL DEFAULT 10000 CONSTRAINT stores_orders_per_slot_in_bounds CHECK (orders_per_slot BETWEEN 0 AND 10000),
    ADD COLUMN is_closed boolean NOT NULL DEFAULT FALSE,
    ADD COLUMN closed_because text,
    ADD CONSTRAINT stores_only_closed_ones_have_a_reason CHECK (is_closed OR closed_because IS NULL);
ALTER TABLE stores ALTER COLUMN orders_per_slot SET DEFAULT 0;

-- Where to look for another store nearby.
CREATE INDEX stores_of_area ON stores (area, store_id);

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
) WITH (fillfactor = 70);

-- What the retention job looks for.
CREATE INDEX store_slots_by_time ON store_slots (slot_starts_at);

ALTER TABLE orders
    ADD COLUMN area text,
    -- Unset only for orders from before there were slots.
    ADD COLUMN slot_starts_at timestamptz,
    ADD COLUMN slot_minutes smallint,
    ADD COLUMN discount_minor_units bigint,
    ADD COLUMN coupon_released_at timestamptz,
    ALTER COLUMN lines DROP NOT NULL,
    DROP CONSTRAINT orders_state_is_known,
    -- 1 PENDING, 2 ACCEPTED, 3 REJECTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED, 7 CANCELLED: the numbers of tidegate.type.v1.OrderState.
    ADD CONSTRAINT orders_state_is_known CHECK (state BETWEEN 1 AND 7),
    ADD CONSTRAINT orders_slot_has_a_length CHECK ((slot_starts_at IS NULL) = (slot_minutes IS NULL)),
    ADD CONSTRAINT orders_only_cancelled_ones_release CHECK (coupon_released_at IS NULL OR state = 7);
UPDATE orders SET area = stores.area FROM stores WHERE stores.store_id = orders.store_id;
UPDATE orders SET area = 'unknown' WHERE area IS NULL;
ALTER TABLE orders ALTER COLUMN area SET NOT NULL;

-- What an order was made of. Forgotten day by day, while the order's key is kept as long as its campaign.
CREATE TABLE order_details (
    placed_on date NOT NULL,
    lane smallint NOT NULL,
    order_id uuid NOT NULL,
    lines jsonb NOT NULL,
    CONSTRAINT order_details_key PRIMARY KEY (placed_on, lane, order_id)
) PARTITION BY RANGE (placed_on);
CREATE TABLE order_details_of_other_days PARTITION OF order_details DEFAULT;
INSERT INTO order_details SELECT (created_at AT TIME ZONE 'UTC')::date, lane, order_id, lines FROM orders;

-- The last line of defence of redeemed-once, for every state in which the coupon is used.
CREATE UNIQUE INDEX orders_one_paid_per_coupon ON orders (lane, coupon_code) WHERE state IN (2, 4, 5, 6);
DROP INDEX orders_one_accepted_per_coupon;

-- Cancelled orders whose coupon is still to be given back.
CREATE INDEX orders_unreleased ON orders (lane, updated_at, order_id) WHERE state = 7 AND coupon_released_at IS NULL;
