CREATE TABLE coupons (
    lane smallint NOT NULL,
    shopper_id text NOT NULL,
    campaign_number integer NOT NULL,
    slot smallint NOT NULL CONSTRAINT coupons_slot_in_range CHECK (slot BETWEEN 1 AND 100),
    request_id text NOT NULL,
    requested_tier_number smallint,
    tier_number smallint NOT NULL,
    lease_id uuid NOT NULL,
    key_id smallint NOT NULL CONSTRAINT coupons_key_id_in_range CHECK (key_id BETWEEN 0 AND 7),
    issued_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    order_id uuid,
    redeemed_at timestamptz,
    revoked_at timestamptz,
    claim_traceparent text,
    revoked_reason text,
    -- Orders that have given the coupon back, oldest first: none of them takes it again, however late
    -- its redemption arrives.
    released_order_ids uuid[] NOT NULL DEFAULT '{}',
    CONSTRAINT coupons_pkey PRIMARY KEY (lane, shopper_id, campaign_number, slot),
    CONSTRAINT coupons_redeemed_by_an_order CHECK ((order_id IS NULL) = (redeemed_at IS NULL)),
    CONSTRAINT coupons_with_a_reason_are_revoked CHECK (revoked_reason IS NULL OR revoked_at IS NOT NULL),
    CONSTRAINT coupons_released_orders_are_bounded CHECK (cardinality(released_order_ids) <= 32)
)
-- Redeeming and releasing changes no indexed column: room on the page keeps it out of the index.
WITH (fillfactor = 85);

-- Coupons of leases that were granted at about the same time lie together in the table: a summary of
-- each few blocks is enough to find those of a range of leases, and costs a commit next to nothing.
CREATE INDEX coupons_by_lease ON coupons USING brin (lease_id) WITH (pages_per_range = 16, autosummarize = on);
