-- Orders. `lane` leads every key of theirs, so that a commit touches one lane and, on a distributed PostgreSQL, one shard.

CREATE TABLE deployment (
    is_deployment boolean NOT NULL CONSTRAINT deployment_is_true CHECK (is_deployment),
    lanes integer NOT NULL CONSTRAINT deployment_lanes_in_bounds CHECK (lanes BETWEEN 1 AND 1024),
    CONSTRAINT deployment_is_one_row PRIMARY KEY (is_deployment)
);

-- There is no foreign key to stores: its check would run once a row inside the hot statement, which looks at the store itself, and stores are never deleted.
CREATE TABLE orders (
    lane smallint NOT NULL,
    shopper_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    store_id text COLLATE "C" NOT NULL,
    area text NOT NULL,
    slot_starts_at timestamptz NOT NULL,
    slot_minutes smallint NOT NULL,
    -- 1 PENDING, 2 ACCEPTED, 3 REJECTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED, 7 CANCELLED, 8 FAILED: the numbers of tidegate.type.v1.OrderState.
    state smallint NOT NULL CONSTRAINT orders_state_is_known CHECK (state BETWEEN 1 AND 8),
    -- A reason's name, and the facts that go with it, so that every replay gets the same refusal.
    rejected_because text,
    rejection_metadata jsonb,
    -- What the store said of an order that it cannot make.
    failure_note text,
    -- The closing of stores that ended the order.
    ended_by_closing text COLLATE "C",
    -- Whole: a worker redeems it after a crash. Worth money, so no query may print it.
    coupon_code text COLLATE "C" NOT NULL,
    discount_minor_units bigint,
    -- Set while issuance is still to be told that an order holds no coupon.
    owes_coupon boolean NOT NULL DEFAULT FALSE,
    coupon_released_at timestamptz,
    -- SHA-256 of all that the shopper asked for; tells a replay from another order under the same request id.
    content_hash bytea NOT NULL CONSTRAINT orders_content_hash_is_sha256 CHECK (length(content_hash) = 32),
    latest_acceptable_at timestamptz,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT orders_key PRIMARY KEY (lane, shopper_id, request_id),
    CONSTRAINT orders_order_id_is_unique UNIQUE (lane, order_id),
    CONSTRAINT orders_rejected_has_reason CHECK ((state = 3) = (rejected_because IS NOT NULL)),
    CONSTRAINT orders_rejected_has_metadata CHECK ((state = 3) = (rejection_metadata IS NOT NULL)),
    CONSTRAINT orders_failed_has_note CHECK ((state = 8) = (failure_note IS NOT NULL)),
    CONSTRAINT orders_only_ended_ones_release CHECK (state IN (3, 7, 8) OR (coupon_released_at IS NULL AND NOT owes_coupon)),
    CONSTRAINT orders_released_ones_owe_nothing CHECK (coupon_released_at IS NULL OR NOT owes_coupon)
);

-- The last line of defence of redeemed-once: issuance decides, and this holds should it ever be wrong. A coupon is known by its code and its shopper: the MAC in a code is short enough for two shoppers
-- of a large lane to have the same code, and the order of the second one is as good as the first's. A coupon has one code for ever, since the id of its key is kept with it.
CREATE UNIQUE INDEX orders_one_paid_per_coupon_of_shopper ON orders (lane, coupon_code, shopper_id) WHERE state IN (2, 4, 5, 6);

-- What the recovery worker looks for.
CREATE INDEX orders_pending ON orders (lane, created_at, order_id) WHERE state = 1;
-- What the release worker looks for.
CREATE INDEX orders_owing ON orders (lane, updated_at, order_id) WHERE owes_coupon;

-- A shopper's orders by time. What a shopper has to come is counted among the latest of them.
CREATE INDEX orders_of_shopper ON orders (lane, shopper_id, created_at, order_id);

-- An audit holds what is booked in a slot against the orders that hold a place in it, and a closing ends those that were not begun: all are found by their slot.
CREATE INDEX orders_of_slot ON orders (lane, store_id, slot_starts_at) WHERE state IN (1, 2, 4, 5, 6);
-- Staff list a store's orders by their slots: these are those that hold no place. An order that is placed and accepted never comes in here, so placing orders costs nothing more.
CREATE INDEX orders_ended_of_slot ON orders (lane, store_id, slot_starts_at, order_id) WHERE state IN (3, 7, 8);
-- What a closing has done.
CREATE INDEX orders_ended_by_closing ON orders (lane, ended_by_closing) WHERE ended_by_closing IS NOT NULL;
-- Orders with coupons that never were, which are forgotten soon.
CREATE INDEX orders_never_real ON orders (lane, updated_at, order_id) WHERE rejected_because = 'COUPON_NOT_FOUND';

-- What an order was made of. Forgotten day by day, while the order's key is kept as long as its campaign.
CREATE TABLE order_details (
    placed_on date NOT NULL,
    lane smallint NOT NULL,
    order_id uuid NOT NULL,
    lines jsonb NOT NULL,
    CONSTRAINT order_details_key PRIMARY KEY (placed_on, lane, order_id)
) PARTITION BY RANGE (placed_on);
CREATE TABLE order_details_of_other_days PARTITION OF order_details DEFAULT;

-- When campaigns end, as issuance says when their coupons are redeemed. An order's key is kept until its campaign is over, so that a late retry finds the order and never makes a second one.
CREATE TABLE campaign_ends (
    campaign_number integer NOT NULL,
    closes_at timestamptz NOT NULL,
    CONSTRAINT campaign_ends_key PRIMARY KEY (campaign_number)
);

-- Which replica audits orders, and until when it may be taken for alive. By the database's clock alone.
CREATE TABLE audit_turn (
    is_turn boolean NOT NULL CONSTRAINT audit_turn_is_one_row PRIMARY KEY CONSTRAINT audit_turn_is_true CHECK (is_turn),
    auditor text NOT NULL,
    ends_at timestamptz NOT NULL
);
