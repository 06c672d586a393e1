-- A giveaway: what its makers fixed, and what staff have said of it since. Whoever changes what staff say holds the locks of all the campaign's tiers, as whoever lends stock does: a lease is granted before a halt, or sees it.
CREATE TABLE campaigns (
    -- Coupon codes carry the number in 24 bits.
    campaign_number integer GENERATED ALWAYS AS IDENTITY (MAXVALUE 16777215) CONSTRAINT campaigns_pkey PRIMARY KEY,
    campaign_id text NOT NULL CONSTRAINT campaigns_id_is_unique UNIQUE,
    -- What people call it.
    display_name text NOT NULL DEFAULT '' CONSTRAINT campaigns_display_name_is_bounded CHECK (char_length(display_name) <= 100),
    description text NOT NULL DEFAULT '' CONSTRAINT campaigns_description_is_bounded CHECK (char_length(description) <= 1000),
    currency_code text NOT NULL,
    limit_per_shopper smallint NOT NULL CONSTRAINT campaigns_limit_in_range CHECK (limit_per_shopper BETWEEN 1 AND 100),
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    coupon_validity_seconds bigint NOT NULL CONSTRAINT campaigns_validity_in_range CHECK (coupon_validity_seconds BETWEEN 1 AND 31622400),
    created_at timestamptz NOT NULL,
    -- The SHA-256 of the terms a campaign was made with, kept once they are others, so that a repeated CreateCampaign is recognised all the same.
    made_with bytea CONSTRAINT campaigns_made_with_is_a_sha256 CHECK (octet_length(made_with) = 32),
    issuance_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_issuance_control_is_known CHECK (issuance_control IN ('OPEN', 'QUEUE_ONLY', 'HALTED')),
    redemption_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    -- Empty as long as nobody has changed the control.
    control_reason text NOT NULL DEFAULT '' CONSTRAINT campaigns_control_reason_is_bounded CHECK (char_length(control_reason) <= 200),
    resume_at timestamptz,
    control_epoch bigint NOT NULL DEFAULT 0 CONSTRAINT campaigns_control_epoch_is_not_negative CHECK (control_epoch >= 0),
    extended_valid_until timestamptz,
    -- When staff ended it for good.
    ended_at timestamptz,
    -- Grows with every change that watchers must hear of.
    revision bigint NOT NULL DEFAULT 1 CONSTRAINT campaigns_revision_is_positive CHECK (revision > 0),
    -- What staff said of a campaign's coupons is in force once issuance's database has it. The first two are the revisions that brought redeeming to what it is and the extension; `fenced_revision` is the newest revision that issuance's database is known to have.
    redemption_revision bigint NOT NULL DEFAULT 0 CONSTRAINT campaigns_redemption_revision_is_not_negative CHECK (redemption_revision >= 0),
    extension_revision bigint NOT NULL DEFAULT 0 CONSTRAINT campaigns_extension_revision_is_not_negative CHECK (extension_revision >= 0),
    fenced_revision bigint NOT NULL DEFAULT 0 CONSTRAINT campaigns_fenced_revision_is_not_negative CHECK (fenced_revision >= 0),
    -- Since when it grants no lease any more, whatever the clocks of replicas say, and whether its leases are forgotten.
    retired_at timestamptz,
    leases_forgotten boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT campaigns_close_after_they_open CHECK (closes_at > opens_at),
    CONSTRAINT campaigns_are_closed_once_ended CHECK (ended_at IS NULL OR closes_at <= ended_at),
    CONSTRAINT campaigns_forget_leases_once_retired CHECK (retired_at IS NOT NULL OR NOT leases_forgotten)
);

CREATE INDEX campaigns_by_end ON campaigns (closes_at);
-- Campaigns whose coupons are valid long after the end.
CREATE INDEX campaigns_by_extension ON campaigns (extended_valid_until) WHERE extended_valid_until IS NOT NULL;
-- The few that issuance has yet to be told of, however many campaigns there are.
CREATE INDEX campaigns_to_fence ON campaigns (campaign_number) WHERE fenced_revision < greatest(redemption_revision, extension_revision);
CREATE INDEX campaigns_unretired ON campaigns (closes_at) WHERE retired_at IS NULL;
CREATE INDEX campaigns_to_forget ON campaigns (campaign_number) WHERE retired_at IS NOT NULL AND NOT leases_forgotten;

-- One kind of coupon of a campaign, and where its stock is. Whoever changes a row holds the locks of all the campaign's tiers, taken in the order of their numbers.
CREATE TABLE tiers (
    campaign_number integer NOT NULL CONSTRAINT tiers_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    tier_number smallint NOT NULL CONSTRAINT tiers_number_in_range CHECK (tier_number BETWEEN 0 AND 15),
    tier_id text NOT NULL,
    face_value_minor_units bigint NOT NULL CONSTRAINT tiers_face_value_in_range CHECK (face_value_minor_units BETWEEN 1 AND 10000000),
    -- What an order must be for a coupon of the tier to pay for it.
    minimum_spend_minor_units bigint NOT NULL DEFAULT 0 CONSTRAINT tiers_minimum_spend_in_range CHECK (minimum_spend_minor_units BETWEEN 0 AND 10000000),
    areas text[] NOT NULL DEFAULT '{}' CONSTRAINT tiers_areas_are_bounded CHECK (cardinality(areas) <= 100),
    store_ids text[] NOT NULL DEFAULT '{}' CONSTRAINT tiers_stores_are_bounded CHECK (cardinality(store_ids) <= 1000),
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
-- Lists of different lengths do not fit into one array, so each tier's names are one text: no name holds a space.
CREATE VIEW campaign_states AS
SELECT campaigns.*, gathered.*
FROM campaigns
CROSS JOIN LATERAL (
    SELECT
        array_agg(tier_id ORDER BY tier_number) AS tier_ids,
        array_agg(face_value_minor_units ORDER BY tier_number) AS face_values_minor_units,
        array_agg(minimum_spend_minor_units ORDER BY tier_number) AS minimum_spends_minor_units,
        array_agg(array_to_string(areas, ' ') ORDER BY tier_number) AS areas,
        array_agg(array_to_string(store_ids, ' ') ORDER BY tier_number) AS store_ids,
        array_agg(initial_stock ORDER BY tier_number) AS initial_stocks,
        array_agg(free ORDER BY tier_number) AS free,
        array_agg(leased ORDER BY tier_number) AS leased,
        array_agg(settled ORDER BY tier_number) AS settled
    FROM tiers
    WHERE tiers.campaign_number = campaigns.campaign_number
) AS gathered;
