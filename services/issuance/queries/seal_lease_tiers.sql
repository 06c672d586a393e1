-- Seals the tiers of leases whose headers are sealed, and tells what was used of each; the second of two statements of one transaction. Sealing again changes nothing and tells the same, also of a lease
-- that is archived.
-- It must be a statement of its own: in one with the headers it would read the snapshot from before an installation that the headers' upsert waited for, miss the tiers that were just installed, and
-- leave them spendable. For the same reason it sees what was archived while the upsert waited for the lease's row.
-- Relies on the row locks of lease_tiers: a commit that is spending the lease either ends before and is counted, or comes after and finds it sealed. Sorted by lease and, by lease_tiers_pkey, by tier, as
-- the issuing statement locks them.
-- Parameters: lane, leases in order.
WITH sealed AS (
    UPDATE lease_tiers AS tier SET sealed = TRUE
    FROM unnest($2::uuid[]) AS item (lease_id)
    WHERE tier.lane = $1 AND tier.lease_id = item.lease_id
    RETURNING tier.lease_id, tier.tier_number, tier.used
)
SELECT lease_id, tier_number, used FROM sealed
UNION ALL
SELECT lease.lease_id, (archived.place - 1)::smallint, archived.used
FROM unnest($2::uuid[]) AS item (lease_id)
JOIN leases AS lease ON lease.lane = $1 AND lease.lease_id = item.lease_id
CROSS JOIN LATERAL unnest(lease.archived_granted, lease.archived_used) WITH ORDINALITY AS archived (granted, used, place)
WHERE archived.granted > 0
