-- Folds the tiers of leases that were settled before $1 into the leases' own rows, $2 leases at most, and adds them to the sums of their campaigns. Tells how many leases that were.
-- Relies on leases_to_archive, on a settled lease never changing again, and on whoever settles having committed before. SKIP LOCKED, because another replica may archive the same ones.
-- What was wanted is no longer kept: a repeated request is known by its campaign, its lane and its lease holder.
WITH over AS MATERIALIZED (
    SELECT lease_id, campaign_number
    FROM leases
    WHERE settled_at < $1 AND settled_at IS NOT NULL AND archived_used IS NULL
    ORDER BY settled_at, campaign_number, lease_id
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
), counted AS MATERIALIZED (
    SELECT
        over.lease_id, over.campaign_number, array_agg(coalesce(tier.granted, 0) ORDER BY place.number) AS granted,
        array_agg(coalesce(tier.used, 0) ORDER BY place.number) AS used, min(tier.tier_number) AS first_tier
    FROM over
    CROSS JOIN LATERAL (
        SELECT generate_series(0, max(held.tier_number)) AS number
        FROM lease_tiers AS held
        WHERE held.lease_id = over.lease_id
    ) AS place
    LEFT JOIN lease_tiers AS tier ON tier.lease_id = over.lease_id AND tier.tier_number = place.number
    GROUP BY over.lease_id, over.campaign_number
), folded AS (
    UPDATE leases AS lease
    SET archived_granted = counted.granted, archived_used = counted.used, wanted = '{}'
    FROM counted
    WHERE lease.lease_id = counted.lease_id
), gone AS (
    DELETE FROM lease_tiers AS tier USING counted WHERE tier.lease_id = counted.lease_id
), summed AS (
    INSERT INTO archived_lease_sums AS sums (campaign_number, tier_number, leases, used)
    SELECT counted.campaign_number, (tier.place - 1)::smallint, count(*) FILTER (WHERE tier.place - 1 = counted.first_tier), sum(tier.used)::bigint
    FROM counted
    CROSS JOIN LATERAL unnest(counted.granted, counted.used) WITH ORDINALITY AS tier (granted, used, place)
    WHERE tier.granted > 0
    GROUP BY counted.campaign_number, tier.place
    ORDER BY counted.campaign_number, tier.place
    ON CONFLICT (campaign_number, tier_number) DO UPDATE SET leases = sums.leases + excluded.leases, used = sums.used + excluded.used
)
SELECT count(*) FROM counted
