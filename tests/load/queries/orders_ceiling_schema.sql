-- The rows that one order leaves: itself, what it is made of, and an event for each of its two
-- states, with one key each.
DROP SCHEMA IF EXISTS ceiling CASCADE;
CREATE SCHEMA ceiling;
CREATE TABLE ceiling.orders (
    lane smallint NOT NULL,
    shopper_id text NOT NULL,
    request_id text NOT NULL,
    order_id uuid NOT NULL,
    store_id text NOT NULL,
    state smallint NOT NULL,
    coupon_code text NOT NULL,
    content_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT orders_key PRIMARY KEY (lane, shopper_id, request_id)
);
CREATE TABLE ceiling.order_details (
    order_id uuid NOT NULL CONSTRAINT order_details_key PRIMARY KEY,
    lines jsonb NOT NULL
);
CREATE TABLE ceiling.order_events (
    lane smallint NOT NULL,
    position bigint NOT NULL,
    order_id uuid NOT NULL,
    shopper_id text NOT NULL,
    store_id text NOT NULL,
    state smallint NOT NULL,
    happened_at timestamptz NOT NULL,
    CONSTRAINT order_events_key PRIMARY KEY (lane, position)
);
