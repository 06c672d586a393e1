-- Relies on the locks of lock_tiers_of_lease, and on the caller having seen that the lease is not settled. $3 and $4 name every tier the lease holds.
WITH lease AS (
    UPDATE leases SET settled_at = $2, sealed_because = $5 WHERE lease_id = $1 RETURNING campaign_number
), spent AS (
    UPDATE lease_tiers
    SET used = counted.quantity
    FROM unnest($3::smallint[], $4::bigint[]) AS counted (tier_number, quantity)
    WHERE lease_tiers.lease_id = $1 AND lease_tiers.tier_number = counted.tier_number
    RETURNING lease_tiers.tier_number, lease_tiers.granted, lease_tiers.used
)
UPDATE tiers
SET free = tiers.free + spent.granted - spent.used, leased = tiers.leased - spent.granted, settled = tiers.settled + spent.used
FROM lease, spent
WHERE tiers.campaign_number = lease.campaign_number AND tiers.tier_number = spent.tier_number
