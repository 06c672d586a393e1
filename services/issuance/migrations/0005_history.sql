-- What is over takes little room, and no start and no audit has to read it.
--
-- A lease that quota has settled is archived: the rows of its tiers are folded into its own row,
-- which stays as the key that a late installation meets. It can be forgotten once its campaign is
-- retired, because from then on the campaign installs no lease at all.
--
-- Replicas of the version before read an archived lease as one of which nothing is left.

-- One count for each tier number from 0 on; unset until the lease is archived, empty for one that never arrived.
ALTER TABLE leases
    ADD COLUMN archived_granted bigint[],
    ADD COLUMN archived_used bigint[],
    ADD CONSTRAINT leases_are_archived_once_returned CHECK (archived_used IS NULL OR returned_at IS NOT NULL) NOT VALID,
    ADD CONSTRAINT leases_archived_counts_are_paired CHECK (
        cardinality(archived_granted) IS NOT DISTINCT FROM cardinality(archived_used)
    ) NOT VALID;

-- What the archived leases of a campaign used, kept when the leases themselves are forgotten.
CREATE TABLE archived_lease_sums (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    tier_number smallint NOT NULL,
    used bigint NOT NULL CONSTRAINT archived_lease_sums_used_is_not_negative CHECK (used >= 0),
    CONSTRAINT archived_lease_sums_pkey PRIMARY KEY (lane, campaign_number, tier_number)
)
WITH (fillfactor = 50);

-- Campaigns that install no lease any more.
CREATE TABLE retired_campaigns (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    leases_forgotten boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT retired_campaigns_pkey PRIMARY KEY (lane, campaign_number)
);
CREATE INDEX retired_campaigns_to_forget ON retired_campaigns (lane, campaign_number) WHERE NOT leases_forgotten;

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
