-- A giveaway. What its makers fixed never changes; `revision` grows with every change that watchers must hear of.
CREATE TABLE campaigns (
    -- Coupon codes carry the number in 24 bits.
    campaign_number integer GENERATED ALWAYS AS IDENTITY (MAXVALUE 16777215) CONSTRAINT campaigns_pkey PRIMARY KEY,
    campaign_id text NOT NULL CONSTRAINT campaigns_id_is_unique UNIQUE,
    currency_code text NOT NULL,
    limit_per_shopper smallint NOT NULL CONSTRAINT campaigns_limit_in_range CHECK (limit_per_shopper BETWEEN 1 AND 100),
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    coupon_validity_seconds bigint NOT NULL CONSTRAINT campaigns_validity_in_range CHECK (coupon_validity_seconds BETWEEN 1 AND 31622400),
    revision bigint NOT NULL DEFAULT 1 CONSTRAINT campaigns_revision_is_positive CHECK (revision > 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT campaigns_close_after_they_open CHECK (closes_at > opens_at)
);

CREATE INDEX campaigns_by_end ON campaigns (closes_at);

-- One kind of coupon of a campaign, and where its stock is. Whoever changes a row holds the locks of all the campaign's tiers, taken in the order of their numbers.
CREATE TABLE tiers (
    campaign_number integer NOT NULL CONSTRAINT tiers_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    tier_number smallint NOT NULL CONSTRAINT tiers_number_in_range CHECK (tier_number BETWEEN 0 AND 15),
    tier_id text NOT NULL,
    face_value_minor_units bigint NOT NULL CONSTRAINT tiers_face_value_in_range CHECK (face_value_minor_units BETWEEN 1 AND 10000000),
    -- What the campaign was made with, to recognise a repeated CreateCampaign after budget was added.
    initial_stock bigint NOT NULL CONSTRAINT tiers_initial_stock_in_range CHECK (initial_stock BETWEEN 1 AND 1000000000),
    stock bigint NOT NULL CONSTRAINT tiers_stock_in_range CHECK (stock BETWEEN initial_stock AND 1000000000),
    free bigint NOT NULL CONSTRAINT tiers_free_is_not_negative CHECK (free >= 0),
    leased bigint NOT NULL CONSTRAINT tiers_leased_is_not_negative CHECK (leased >= 0),
    settled bigint NOT NULL CONSTRAINT tiers_settled_is_not_negative CHECK (settled >= 0),
    CONSTRAINT tiers_pkey PRIMARY KEY (campaign_number, tier_number),
    CONSTRAINT tiers_id_is_unique UNIQUE (campaign_number, tier_id),
    CONSTRAINT tiers_conserve_stock CHECK (free + leased + settled = stock)
)
-- The counts change with every lease: room on the page keeps those updates out of the indexes.
WITH (fillfactor = 50);

-- Stock lent to an issuance replica. The columns from `campaign_number` to `wanted_of_any_tier` are what was asked, to recognise a repeated request.
CREATE TABLE leases (
    lease_id uuid NOT NULL CONSTRAINT leases_pkey PRIMARY KEY,
    campaign_number integer NOT NULL CONSTRAINT leases_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    lane smallint NOT NULL CONSTRAINT leases_lane_in_range CHECK (lane BETWEEN 0 AND 1023),
    holder_id text NOT NULL,
    -- One count for each tier number from 0 to 15.
    wanted bigint[] NOT NULL CONSTRAINT leases_wanted_has_every_tier CHECK (cardinality(wanted) = 16),
    wanted_of_any_tier bigint NOT NULL CONSTRAINT leases_wanted_of_any_is_not_negative CHECK (wanted_of_any_tier >= 0),
    granted_at timestamptz NOT NULL,
    settled_at timestamptz
);

-- What a lease holds of a tier; `used` is known once the lease is settled.
CREATE TABLE lease_tiers (
    lease_id uuid NOT NULL CONSTRAINT lease_tiers_belong_to_a_lease REFERENCES leases (lease_id),
    tier_number smallint NOT NULL CONSTRAINT lease_tiers_number_in_range CHECK (tier_number BETWEEN 0 AND 15),
    granted bigint NOT NULL CONSTRAINT lease_tiers_hold_something CHECK (granted > 0),
    used bigint CONSTRAINT lease_tiers_never_overspent CHECK (used BETWEEN 0 AND granted),
    CONSTRAINT lease_tiers_pkey PRIMARY KEY (lease_id, tier_number)
);

-- Coupons added after the start, once for each request id.
CREATE TABLE budget_additions (
    campaign_number integer NOT NULL,
    request_id text NOT NULL,
    tier_number smallint NOT NULL,
    additional_stock bigint NOT NULL CONSTRAINT budget_additions_in_range CHECK (additional_stock BETWEEN 1 AND 1000000000),
    added_at timestamptz NOT NULL,
    CONSTRAINT budget_additions_pkey PRIMARY KEY (campaign_number, request_id),
    CONSTRAINT budget_additions_belong_to_a_tier FOREIGN KEY (campaign_number, tier_number) REFERENCES tiers (campaign_number, tier_number)
);

-- A campaign with its tiers as arrays in the order of their numbers. LATERAL, so that a condition on the campaign is applied before its tiers are gathered.
CREATE VIEW campaign_states AS
SELECT campaigns.*, gathered.*
FROM campaigns
CROSS JOIN LATERAL (
    SELECT
        array_agg(tier_id ORDER BY tier_number) AS tier_ids,
        array_agg(face_value_minor_units ORDER BY tier_number) AS face_values_minor_units,
        array_agg(initial_stock ORDER BY tier_number) AS initial_stocks,
        array_agg(free ORDER BY tier_number) AS free,
        array_agg(leased ORDER BY tier_number) AS leased,
        array_agg(settled ORDER BY tier_number) AS settled
    FROM tiers
    WHERE tiers.campaign_number = campaigns.campaign_number
) AS gathered;
