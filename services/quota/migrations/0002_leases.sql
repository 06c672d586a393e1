-- Stock lent to an issuance replica. The columns from `campaign_number` to `wanted_of_any_tier` are what was asked, to recognise a repeated request.
--
-- What is over takes little room, and no start and no audit has to read it: a settled lease is archived. The rows of its tiers are folded into its own row, which stays as the key that a repeated
-- request meets, without what was wanted. It can be forgotten once its campaign is retired, because from then on the campaign grants no lease at all.
CREATE TABLE leases (
    lease_id uuid NOT NULL CONSTRAINT leases_pkey PRIMARY KEY,
    campaign_number integer NOT NULL CONSTRAINT leases_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    lane smallint NOT NULL CONSTRAINT leases_lane_in_range CHECK (lane BETWEEN 0 AND 1023),
    holder_id text NOT NULL,
    -- One count for each tier number from 0 to 15; none once the lease is archived.
    wanted bigint[] NOT NULL,
    wanted_of_any_tier bigint NOT NULL CONSTRAINT leases_wanted_of_any_is_not_negative CHECK (wanted_of_any_tier >= 0),
    granted_at timestamptz NOT NULL,
    settled_at timestamptz,
    -- Why it was sealed and settled.
    sealed_because text CONSTRAINT leases_sealed_because_is_known CHECK (sealed_because IN ('RETURNED', 'SILENT', 'HALTED', 'CLOSED')),
    -- One count for each tier number from 0 on; unset until the lease is archived.
    archived_granted bigint[],
    archived_used bigint[],
    CONSTRAINT leases_have_a_reason_once_settled CHECK (sealed_because IS NULL OR settled_at IS NOT NULL),
    CONSTRAINT leases_wanted_has_every_tier CHECK (cardinality(wanted) = 16 OR (archived_used IS NOT NULL AND cardinality(wanted) = 0)),
    CONSTRAINT leases_are_archived_once_settled CHECK (archived_used IS NULL OR settled_at IS NOT NULL),
    CONSTRAINT leases_archived_counts_are_paired CHECK (cardinality(archived_granted) IS NOT DISTINCT FROM cardinality(archived_used))
);

-- The leases that may have to be taken back: few, however many there have been. In the order of the primary key, so that it beats that key whatever the planner believes about how many are settled.
CREATE INDEX leases_unsettled ON leases (lease_id, campaign_number, holder_id) WHERE settled_at IS NULL;
-- What is to be archived, and what of the settled leases an audit has to add up itself.
CREATE INDEX leases_to_archive ON leases (settled_at, campaign_number, lease_id) WHERE settled_at IS NOT NULL AND archived_used IS NULL;
-- An audit reads a campaign's leases page by page.
CREATE INDEX leases_by_campaign ON leases (campaign_number, lease_id);

-- What a lease holds of a tier; `used` is known once the lease is settled.
CREATE TABLE lease_tiers (
    lease_id uuid NOT NULL CONSTRAINT lease_tiers_belong_to_a_lease REFERENCES leases (lease_id),
    tier_number smallint NOT NULL CONSTRAINT lease_tiers_number_in_range CHECK (tier_number BETWEEN 0 AND 15),
    granted bigint NOT NULL CONSTRAINT lease_tiers_hold_something CHECK (granted > 0),
    used bigint CONSTRAINT lease_tiers_never_overspent CHECK (used BETWEEN 0 AND granted),
    CONSTRAINT lease_tiers_pkey PRIMARY KEY (lease_id, tier_number)
);

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

-- The lives of issuance replicas. `beats` grows with each sign of life; how fast does not matter, only whether it grows.
CREATE TABLE holders (
    holder_id text NOT NULL CONSTRAINT holders_pkey PRIMARY KEY,
    beats bigint NOT NULL CONSTRAINT holders_beats_are_positive CHECK (beats > 0)
)
-- Every row changes twice a second: room on the page keeps those updates out of the index.
WITH (fillfactor = 50);
