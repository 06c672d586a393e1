-- Folds the tiers of leases of one lane that were returned before $2 into the leases' own rows, $3 leases at most, and adds them to the sums of their campaigns. Tells how many leases that were.
-- Relies on leases_to_archive; on a returned lease being sealed, so that its counts never change again; and on the lock of the lease's row, which a seal takes first: it sees the lease before or after.
-- SKIP LOCKED, because another replica may archive the same ones.
WITH over AS MATERIALIZED (
    SELECT lease_id, campaign_number
    FROM leases
    WHERE lane = $1 AND returned_at < $2 AND returned_at IS NOT NULL AND archived_used IS NULL
    ORDER BY returned_at, lease_id
    LIMIT $3
    FOR NO KEY UPDATE SKIP LOCKED
), counted AS MATERIALIZED (
    SELECT
        over.lease_id,
        over.campaign_number,
        coalesce(array_agg(coalesce(tier.granted, 0) ORDER BY place.number) FILTER (WHERE place.number IS NOT NULL), '{}') AS granted,
        coalesce(array_agg(coalesce(tier.used, 0) ORDER BY place.number) FILTER (WHERE place.number IS NOT NULL), '{}') AS used
    FROM over
    LEFT JOIN LATERAL (
        SELECT generate_series(0, max(held.tier_number)) AS number
        FROM lease_tiers AS held
        WHERE held.lane = $1 AND held.lease_id = over.lease_id
    ) AS place ON TRUE
    LEFT JOIN lease_tiers AS tier ON tier.lane = $1 AND tier.lease_id = over.lease_id AND tier.tier_number = place.number
    GROUP BY over.lease_id, over.campaign_number
), folded AS (
    UPDATE leases AS lease
    SET archived_granted = counted.granted, archived_used = counted.used
    FROM counted
    WHERE lease.lane = $1 AND lease.lease_id = counted.lease_id
), gone AS (
    DELETE FROM lease_tiers AS tier
    USING counted
    WHERE tier.lane = $1 AND tier.lease_id = counted.lease_id
), summed AS (
    INSERT INTO archived_lease_sums AS sums (lane, campaign_number, tier_number, used)
    SELECT $1, counted.campaign_number, (tier.place - 1)::smallint, sum(tier.used)::bigint
    FROM counted
    CROSS JOIN LATERAL unnest(counted.granted, counted.used) WITH ORDINALITY AS tier (granted, used, place)
    WHERE tier.granted > 0
    GROUP BY counted.campaign_number, tier.place
    ORDER BY counted.campaign_number, tier.place
    ON CONFLICT (lane, campaign_number, tier_number) DO UPDATE SET used = sums.used + excluded.used
)
SELECT count(*) FROM counted
