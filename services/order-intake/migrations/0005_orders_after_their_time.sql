-- Orders that come to nothing after their time or because their store failed, and stores that close
-- with all that they have not begun.
--
-- Replicas of the version before write on while they are replaced. They know nothing of owes_coupon:
-- they cancel orders without setting it, and note a release without unsetting it. So no constraint
-- ties the two columns, and an order owes its coupon only while coupon_released_at is unset.
--
-- Constraints of tables that may be large are NOT VALID: they hold for what is written from now on,
-- and no table is read whole under a lock.

ALTER TABLE orders
    -- What the store said of an order that it cannot make.
    ADD COLUMN failure_note text,
    -- Set while issuance is still to be told that an order holds no coupon.
    ADD COLUMN owes_coupon boolean NOT NULL DEFAULT FALSE,
    -- The closing of stores that ended the order.
    ADD COLUMN ended_by_closing text COLLATE "C",
    DROP CONSTRAINT orders_state_is_known,
    -- 8 is FAILED; the others are as before.
    ADD CONSTRAINT orders_state_is_known CHECK (state BETWEEN 1 AND 8) NOT VALID,
    DROP CONSTRAINT orders_only_cancelled_ones_release,
    ADD CONSTRAINT orders_only_ended_ones_release CHECK (
        state IN (3, 7, 8) OR (coupon_released_at IS NULL AND NOT owes_coupon)
    ) NOT VALID,
    ADD CONSTRAINT orders_failed_has_note CHECK ((state = 8) = (failure_note IS NOT NULL)) NOT VALID;
UPDATE orders SET owes_coupon = TRUE WHERE state = 7 AND coupon_released_at IS NULL;
-- A redemption that is still under way could take the coupon of an order that was rejected just
-- now, unless there is no such coupon or it was revoked. None is under way for a day. The events
-- tell which orders those are: the tables of their days are small, and orders need not be read
-- whole.
UPDATE orders SET owes_coupon = TRUE
FROM order_events
WHERE order_events.happened_on >= (now() AT TIME ZONE 'UTC')::date - 1 AND order_events.state = 3
    AND orders.lane = order_events.lane AND orders.order_id = order_events.order_id
    AND orders.state = 3 AND orders.rejected_because NOT IN ('COUPON_NOT_FOUND', 'COUPON_REVOKED') AND orders.coupon_released_at IS NULL;

-- orders_unreleased stays for what replicas of the version before cancel.
CREATE INDEX orders_owing ON orders (lane, updated_at, order_id) WHERE owes_coupon AND coupon_released_at IS NULL;

-- What a shopper has to come, and what a store has not begun.
CREATE INDEX orders_to_come_of_shopper ON orders (lane, shopper_id, slot_starts_at) WHERE state IN (1, 2);
CREATE INDEX orders_to_come_of_store ON orders (lane, store_id, slot_starts_at) WHERE state IN (1, 2);
CREATE INDEX orders_pending_of_store ON orders (lane, store_id) WHERE state = 1;
-- What a closing has done.
CREATE INDEX orders_ended_by_closing ON orders (lane, ended_by_closing) WHERE ended_by_closing IS NOT NULL;
-- Orders with coupons that never were, which are forgotten soon.
CREATE INDEX orders_never_real ON orders (lane, updated_at, order_id) WHERE rejected_because = 'COUPON_NOT_FOUND';

ALTER TABLE order_events
    ADD COLUMN failure_note text,
    DROP CONSTRAINT order_events_state_is_known,
    ADD CONSTRAINT order_events_state_is_known CHECK (state BETWEEN 1 AND 8) NOT VALID,
    ADD CONSTRAINT order_events_failed_has_note CHECK ((state = 8) = (failure_note IS NOT NULL)) NOT VALID;

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

ALTER TABLE stores
    -- The closing that a store is closed by: orders of a store that was opened again stay.
    ADD COLUMN closed_by text COLLATE "C",
    ADD CONSTRAINT stores_only_closed_ones_are_closed_by CHECK (is_closed OR closed_by IS NULL) NOT VALID;
CREATE INDEX stores_closed_by_closing ON stores (closed_by, store_id) WHERE closed_by IS NOT NULL;
