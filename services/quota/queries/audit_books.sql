-- Relies on leases_unsettled and leases_to_archive, so that no lease that is archived is read: these are in archived_lease_sums. The number is written so that leases_by_campaign cannot be taken for them. One statement, so that the tiers and the leases they are compared with are seen at the same instant, also while leases are granted, settled and archived.
SELECT
    tiers.tier_number, tiers.stock, tiers.free, tiers.leased, tiers.settled,
    coalesce(lent.granted, 0)::bigint AS granted_unsettled,
    (coalesce(spent.used, 0) + coalesce(sums.used, 0))::bigint AS used_settled,
    (coalesce(lent.leases, 0) + coalesce(spent.leases, 0) + coalesce(sums.leases, 0))::bigint AS leases
FROM tiers
LEFT JOIN (
    SELECT held.tier_number, sum(held.granted) AS granted, count(*) FILTER (WHERE held.is_first) AS leases
    FROM leases
    CROSS JOIN LATERAL (
        SELECT tier_number, granted, tier_number = min(tier_number) OVER () AS is_first
        FROM lease_tiers
        WHERE lease_tiers.lease_id = leases.lease_id
    ) AS held
    WHERE leases.settled_at IS NULL AND leases.campaign_number + 0 = $1
    GROUP BY held.tier_number
) AS lent ON lent.tier_number = tiers.tier_number
LEFT JOIN (
    SELECT held.tier_number, sum(held.used) AS used, count(*) FILTER (WHERE held.is_first) AS leases
    FROM leases
    CROSS JOIN LATERAL (
        SELECT tier_number, used, tier_number = min(tier_number) OVER () AS is_first
        FROM lease_tiers
        WHERE lease_tiers.lease_id = leases.lease_id
    ) AS held
    WHERE leases.settled_at IS NOT NULL AND leases.archived_used IS NULL AND leases.campaign_number + 0 = $1
    GROUP BY held.tier_number
) AS spent ON spent.tier_number = tiers.tier_number
LEFT JOIN archived_lease_sums AS sums ON sums.campaign_number = tiers.campaign_number AND sums.tier_number = tiers.tier_number
WHERE tiers.campaign_number = $1
ORDER BY tiers.tier_number
