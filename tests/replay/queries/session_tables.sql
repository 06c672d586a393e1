-- What is known elsewhere, for joins within this session. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS told_coupons, told_sell_outs, told_orders, heard_orders, leases_of_quota, paid_or_cancelled_orders;
-- What callers were told.
CREATE TEMPORARY TABLE told_coupons (
    shopper_id text NOT NULL,
    request_id text NOT NULL,
    campaign_number bigint NOT NULL,
    slot smallint NOT NULL
);
CREATE TEMPORARY TABLE told_sell_outs (
    shopper_id text NOT NULL,
    request_id text NOT NULL,
    asked_at timestamptz NOT NULL
);
CREATE TEMPORARY TABLE told_orders (
    shopper_id text NOT NULL,
    order_id uuid NOT NULL,
    accepted boolean NOT NULL,
    cancel_asked boolean NOT NULL,
    cancelled boolean NOT NULL
);
-- Orders that a consumer of the feed heard were accepted.
CREATE TEMPORARY TABLE heard_orders (
    order_id uuid NOT NULL
);
-- Quota's leases, for issuance's database.
CREATE TEMPORARY TABLE leases_of_quota (
    lease_id uuid NOT NULL,
    tier_number smallint NOT NULL,
    granted bigint NOT NULL,
    used bigint
);
-- Order-intake's orders that have paid or are cancelled, for issuance's database.
CREATE TEMPORARY TABLE paid_or_cancelled_orders (
    order_id uuid NOT NULL,
    shopper_id text NOT NULL,
    is_paid boolean NOT NULL
);
