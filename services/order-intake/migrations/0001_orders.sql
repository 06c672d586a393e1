-- Orders, and the stores that make them. `lane` leads every key of orders, so that a commit touches one lane and, on a distributed PostgreSQL, one shard.

CREATE TABLE deployment (
    is_deployment boolean NOT NULL CONSTRAINT deployment_is_true CHECK (is_deployment),
    lanes integer NOT NULL CONSTRAINT deployment_lanes_in_bounds CHECK (lanes BETWEEN 1 AND 1024),
    CONSTRAINT deployment_is_one_row PRIMARY KEY (is_deployment)
);

CREATE TABLE stores (
    store_id text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    area text NOT NULL,
    CONSTRAINT stores_key PRIMARY KEY (store_id)
);

-- There is no foreign key to stores: its check would run once a row inside the hot statement, which looks at the store itself, and stores are never deleted.
CREATE TABLE orders (
    lane smallint NOT NULL,
    shopper_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    store_id text COLLATE "C" NOT NULL,
    -- 1 PENDING, 2 ACCEPTED, 3 REJECTED: the numbers of tidegate.type.v1.OrderState.
    state smallint NOT NULL CONSTRAINT orders_state_is_known CHECK (state IN (1, 2, 3)),
    -- A reason's name, and the facts that go with it, so that every replay gets the same refusal.
    rejected_because text,
    rejection_metadata jsonb,
    -- Whole: a worker redeems it after a crash. Worth money, so no query may print it.
    coupon_code text COLLATE "C" NOT NULL,
    lines jsonb NOT NULL,
    -- SHA-256 of all that the shopper asked for; tells a replay from another order under the same request id.
    content_hash bytea NOT NULL CONSTRAINT orders_content_hash_is_sha256 CHECK (length(content_hash) = 32),
    latest_acceptable_at timestamptz,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT orders_key PRIMARY KEY (lane, shopper_id, request_id),
    CONSTRAINT orders_order_id_is_unique UNIQUE (lane, order_id),
    CONSTRAINT orders_rejected_has_reason CHECK ((state = 3) = (rejected_because IS NOT NULL)),
    CONSTRAINT orders_rejected_has_metadata CHECK ((state = 3) = (rejection_metadata IS NOT NULL))
);

-- The last line of defence of redeemed-once: issuance decides, and this holds should it ever be wrong.
CREATE UNIQUE INDEX orders_one_accepted_per_coupon ON orders (lane, coupon_code) WHERE state = 2;

-- What the recovery worker looks for.
CREATE INDEX orders_pending ON orders (lane, created_at, order_id) WHERE state = 1;

-- A shopper's orders by time.
CREATE INDEX orders_of_shopper ON orders (lane, shopper_id, created_at, order_id);
