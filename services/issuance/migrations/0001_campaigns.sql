-- The lane comes first in every key of the hot tables, so that one transaction touches one lane, and
-- one shard where the database is distributed by lane.

CREATE TABLE deployment (
    is_deployment boolean NOT NULL CONSTRAINT deployment_is_one_row PRIMARY KEY CONSTRAINT deployment_is_true CHECK (is_deployment),
    lanes integer NOT NULL CONSTRAINT deployment_lanes_in_range CHECK (lanes BETWEEN 1 AND 1024)
);

-- What quota said of each campaign and what staff have said of it, kept so that wallets, halts and
-- redemption work while quota is away and after a restart.
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
    issuance_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_issuance_control_is_known CHECK (issuance_control IN ('OPEN', 'QUEUE_ONLY', 'HALTED')),
    redemption_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    resume_at timestamptz,
    extended_valid_until timestamptz,
    -- What orders must be for the campaign's coupons, tier by tier; a tier's areas and its stores are
    -- one text each, separated by spaces. All are empty if no tier asks anything.
    tier_minimum_spends_minor_units bigint[] NOT NULL DEFAULT '{}',
    tier_areas text[] NOT NULL DEFAULT '{}',
    tier_store_ids text[] NOT NULL DEFAULT '{}',
    -- The revision from which on a campaign's tiers are those of its row: what an older one calls a
    -- tier's number may be another tier. 0 if they never were others.
    tiers_since bigint NOT NULL DEFAULT 0,
    CONSTRAINT campaigns_tiers_are_paired CHECK (cardinality(tier_ids) = cardinality(tier_face_values_minor_units)),
    CONSTRAINT campaigns_terms_are_paired_with_tiers CHECK (cardinality(tier_minimum_spends_minor_units) IN (0, cardinality(tier_ids))),
    CONSTRAINT campaigns_terms_are_paired CHECK (
        cardinality(tier_areas) = cardinality(tier_minimum_spends_minor_units) AND cardinality(tier_store_ids) = cardinality(tier_minimum_spends_minor_units)
    )
);

-- What staff have said of the coupons of a campaign, lane by lane, in the database that commits
-- redemptions. A redemption locks its campaign's row until it has committed, so a change that is
-- committed here is obeyed by every redemption that commits after it, whatever a replica has heard.
-- A row that is not there yet is made of what `campaigns` says by the first redemption that needs it.
CREATE TABLE campaign_controls (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    revision bigint NOT NULL CONSTRAINT campaign_controls_revision_is_not_negative CHECK (revision >= 0),
    redemption_control text NOT NULL
        CONSTRAINT campaign_controls_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    resume_at timestamptz,
    extended_valid_until timestamptz,
    CONSTRAINT campaign_controls_pkey PRIMARY KEY (lane, campaign_number)
);

-- Campaigns that install no lease any more.
CREATE TABLE retired_campaigns (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    leases_forgotten boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT retired_campaigns_pkey PRIMARY KEY (lane, campaign_number)
);
CREATE INDEX retired_campaigns_to_forget ON retired_campaigns (lane, campaign_number) WHERE NOT leases_forgotten;
