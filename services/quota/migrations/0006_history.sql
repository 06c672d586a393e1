-- What is over takes little room, and no start and no audit has to read it.
--
-- A settled lease is archived: the rows of its tiers are folded into its own row, which stays as
-- the key that a repeated request meets, without what was wanted. It can be forgotten once its
-- campaign is retired, because from then on the campaign grants no lease at all.

-- In the order in which a grant takes them, so that neither waits for the other.
LOCK TABLE campaigns, leases IN ACCESS EXCLUSIVE MODE;

-- One count for each tier number from 0 on; unset until the lease is archived.
ALTER TABLE leases
    ADD COLUMN archived_granted bigint[],
    ADD COLUMN archived_used bigint[],
    DROP CONSTRAINT leases_wanted_has_every_tier,
    ADD CONSTRAINT leases_wanted_has_every_tier CHECK (
        cardinality(wanted) = 16 OR (archived_used IS NOT NULL AND cardinality(wanted) = 0)
    ) NOT VALID,
    ADD CONSTRAINT leases_are_archived_once_settled CHECK (archived_used IS NULL OR settled_at IS NOT NULL) NOT VALID,
    ADD CONSTRAINT leases_archived_counts_are_paired CHECK (
        cardinality(archived_granted) IS NOT DISTINCT FROM cardinality(archived_used)
    ) NOT VALID;

-- What the archived leases of a campaign add up to, kept when the leases themselves are forgotten.
CREATE TABLE archived_lease_sums (
    campaign_number integer NOT NULL CONSTRAINT archived_lease_sums_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    tier_number smallint NOT NULL,
    -- Each lease counts at the first tier it holds, so that all tiers together count each once.
    leases bigint NOT NULL CONSTRAINT archived_lease_sums_leases_are_not_negative CHECK (leases >= 0),
    used bigint NOT NULL CONSTRAINT archived_lease_sums_used_is_not_negative CHECK (used >= 0),
    CONSTRAINT archived_lease_sums_pkey PRIMARY KEY (campaign_number, tier_number)
)
WITH (fillfactor = 50);

-- Since when a campaign grants no lease any more, whatever the clocks of replicas say, and whether its leases are forgotten.
ALTER TABLE campaigns
    ADD COLUMN retired_at timestamptz,
    ADD COLUMN leases_forgotten boolean NOT NULL DEFAULT FALSE,
    ADD CONSTRAINT campaigns_forget_leases_once_retired CHECK (retired_at IS NOT NULL OR NOT leases_forgotten) NOT VALID;
CREATE INDEX campaigns_unretired ON campaigns (closes_at) WHERE retired_at IS NULL;
CREATE INDEX campaigns_to_forget ON campaigns (campaign_number) WHERE retired_at IS NOT NULL AND NOT leases_forgotten;

-- How far the audit of a campaign has come. A pass goes over all leases, newest first, in slices.
CREATE TABLE audit_passes (
    campaign_number integer NOT NULL CONSTRAINT audit_passes_pkey PRIMARY KEY
        CONSTRAINT audit_passes_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    -- When the newest leases were compared last, how many leases that was, how many it left out, and what it found.
    audited_at timestamptz NOT NULL,
    leases_compared bigint NOT NULL,
    leases_left_out bigint NOT NULL,
    differences bigint NOT NULL,
    -- The pass under way: from which lease on downwards it goes on, and what it has added up. Unset between two passes.
    pass_from uuid,
    pass_began_at timestamptz,
    pass_leases bigint NOT NULL DEFAULT 0,
    pass_differences bigint NOT NULL DEFAULT 0,
    -- One count for each tier number.
    pass_settled_before bigint[] NOT NULL DEFAULT '{}',
    pass_settled_used bigint[] NOT NULL DEFAULT '{}',
    pass_coupons bigint[] NOT NULL DEFAULT '{}',
    pass_is_final boolean NOT NULL DEFAULT FALSE,
    -- The last pass that went over all leases: when it began and what it found.
    complete_at timestamptz,
    complete_leases bigint NOT NULL DEFAULT 0,
    complete_differences bigint NOT NULL DEFAULT 0,
    -- Whether the campaign had closed and had nothing on lease when that pass began, so that none of it could change any more.
    complete_is_final boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT audit_passes_know_when_they_began CHECK ((pass_from IS NULL) = (pass_began_at IS NULL))
);

-- Which replica of quota audits, and until when it may be taken for alive. By the database's clock alone.
CREATE TABLE audit_turn (
    is_turn boolean NOT NULL CONSTRAINT audit_turn_is_one_row PRIMARY KEY CONSTRAINT audit_turn_is_true CHECK (is_turn),
    auditor text NOT NULL,
    ends_at timestamptz NOT NULL
);

-- What every lease holds and has used, tier by tier, archived or not; what is not settled has used nothing that quota knows of.
CREATE VIEW lease_counts AS
SELECT leases.lease_id, leases.campaign_number, leases.settled_at, counts.tier_number, counts.granted, counts.used
FROM leases
CROSS JOIN LATERAL (
    SELECT tier_number, granted, used
    FROM lease_tiers
    WHERE lease_tiers.lease_id = leases.lease_id
    UNION ALL
    SELECT (archived.place - 1)::smallint, archived.granted, archived.used
    FROM unnest(leases.archived_granted, leases.archived_used) WITH ORDINALITY AS archived (granted, used, place)
    WHERE archived.granted > 0
) AS counts;
