-- Stock lent by quota. `sealed` is final: nothing is spent from a sealed lease, and its `used` never
-- changes again. A lease that was sealed before it arrived leaves its row, so that it cannot be
-- installed later; it has no moment of installation and no tiers.
--
-- What is over takes little room, and no start and no audit has to read it: a lease that quota has
-- settled is archived. The rows of its tiers are folded into its own row, which stays as the key
-- that a late installation meets. It can be forgotten once its campaign is retired, because from
-- then on the campaign installs no lease at all.
CREATE TABLE leases (
    lane smallint NOT NULL,
    lease_id uuid NOT NULL,
    campaign_number integer NOT NULL,
    holder_id text NOT NULL,
    sealed boolean NOT NULL DEFAULT FALSE,
    installed_at timestamptz,
    returned_at timestamptz,
    -- One count for each tier number from 0 on; unset until the lease is archived, empty for one that
    -- never arrived.
    archived_granted bigint[],
    archived_used bigint[],
    CONSTRAINT leases_pkey PRIMARY KEY (lane, lease_id),
    CONSTRAINT leases_are_sealed_before_they_return CHECK (sealed OR returned_at IS NULL),
    CONSTRAINT leases_that_never_arrived_are_sealed CHECK (sealed OR installed_at IS NOT NULL),
    CONSTRAINT leases_are_archived_once_returned CHECK (archived_used IS NULL OR returned_at IS NOT NULL),
    CONSTRAINT leases_archived_counts_are_paired CHECK (
        cardinality(archived_granted) IS NOT DISTINCT FROM cardinality(archived_used)
    )
);
-- What a start looks for: few, however many leases there have been.
CREATE INDEX leases_unreturned ON leases (lane, lease_id) WHERE returned_at IS NULL;
-- What is to be archived.
CREATE INDEX leases_to_archive ON leases (lane, returned_at, lease_id) WHERE returned_at IS NOT NULL AND archived_used IS NULL;
-- An audit reads a campaign's leases range by range, and forgetting does so as well.
CREATE INDEX leases_by_campaign ON leases (lane, campaign_number, lease_id);

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

-- What the archived leases of a campaign used, kept when the leases themselves are forgotten.
CREATE TABLE archived_lease_sums (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    tier_number smallint NOT NULL,
    used bigint NOT NULL CONSTRAINT archived_lease_sums_used_is_not_negative CHECK (used >= 0),
    CONSTRAINT archived_lease_sums_pkey PRIMARY KEY (lane, campaign_number, tier_number)
)
WITH (fillfactor = 50);

-- What every lease holds and has used, tier by tier, archived or not.
CREATE VIEW lease_counts AS
SELECT leases.lane, leases.lease_id, leases.campaign_number, leases.sealed, counts.tier_number, counts.granted, counts.used
FROM leases
CROSS JOIN LATERAL (
    SELECT tier_number, granted, used
    FROM lease_tiers
    WHERE lease_tiers.lane = leases.lane AND lease_tiers.lease_id = leases.lease_id
    UNION ALL
    SELECT (archived.place - 1)::smallint, archived.granted, archived.used
    FROM unnest(leases.archived_granted, leases.archived_used) WITH ORDINALITY AS archived (granted, used, place)
    WHERE archived.granted > 0
) AS counts;

-- The timeline of the database on which a lane was committed to last. PostgreSQL begins another one
-- when a standby is promoted or a backup is restored, and what was committed last may be gone then: a
-- seal that was answered, or the tombstone of a lease that had not arrived. A writer that finds
-- another timeline seals every open lease of its lane before it commits anything, and a lease that
-- was asked for on an earlier one arrives sealed.
CREATE TABLE lane_timelines (
    lane smallint NOT NULL CONSTRAINT lane_timelines_pkey PRIMARY KEY,
    timeline integer NOT NULL
);
