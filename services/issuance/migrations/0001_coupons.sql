-- The lane comes first in every key of the hot tables, so that one transaction touches one lane, and one shard where the database is distributed by lane.

CREATE TABLE deployment (
    is_deployment boolean NOT NULL CONSTRAINT deployment_is_one_row PRIMARY KEY CONSTRAINT deployment_is_true CHECK (is_deployment),
    lanes integer NOT NULL CONSTRAINT deployment_lanes_in_range CHECK (lanes BETWEEN 1 AND 1024)
);

-- What quota said of each campaign, kept so that wallets and redemption work while quota is away.
CREATE TABLE campaigns (
    campaign_number integer NOT NULL CONSTRAINT campaigns_pkey PRIMARY KEY,
    campaign_id text NOT NULL CONSTRAINT campaigns_id_is_unique UNIQUE,
    currency_code text NOT NULL,
    limit_per_shopper smallint NOT NULL CONSTRAINT campaigns_limit_in_range CHECK (limit_per_shopper BETWEEN 1 AND 100),
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    coupon_validity_seconds bigint NOT NULL CONSTRAINT campaigns_validity_is_positive CHECK (coupon_validity_seconds > 0),
    revision bigint NOT NULL,
    tier_ids text[] NOT NULL,
    tier_face_values_minor_units bigint[] NOT NULL,
    CONSTRAINT campaigns_tiers_are_paired CHECK (cardinality(tier_ids) = cardinality(tier_face_values_minor_units))
);

-- Stock lent by quota. `sealed` is final: nothing is spent from a sealed lease, and its `used` never changes again.
CREATE TABLE leases (
    lane smallint NOT NULL,
    lease_id uuid NOT NULL,
    campaign_number integer NOT NULL,
    holder_id text NOT NULL,
    sealed boolean NOT NULL DEFAULT FALSE,
    installed_at timestamptz NOT NULL,
    returned_at timestamptz,
    CONSTRAINT leases_pkey PRIMARY KEY (lane, lease_id),
    CONSTRAINT leases_are_sealed_before_they_return CHECK (sealed OR returned_at IS NULL)
);

CREATE TABLE lease_tiers (
    lane smallint NOT NULL,
    lease_id uuid NOT NULL,
    tier_number smallint NOT NULL,
    granted bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    sealed boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT lease_tiers_pkey PRIMARY KEY (lane, lease_id, tier_number),
    CONSTRAINT lease_tiers_belong_to_a_lease FOREIGN KEY (lane, lease_id) REFERENCES leases (lane, lease_id),
    CONSTRAINT lease_tiers_never_overspent CHECK (used BETWEEN 0 AND granted)
)
-- `used` changes with every commit: room on the page keeps those updates out of the index.
WITH (fillfactor = 50);

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
    CONSTRAINT coupons_pkey PRIMARY KEY (lane, shopper_id, campaign_number, slot),
    CONSTRAINT coupons_redeemed_by_an_order CHECK ((order_id IS NULL) = (redeemed_at IS NULL))
)
-- Redeeming and releasing changes no indexed column: room on the page keeps it out of the index.
WITH (fillfactor = 85);
