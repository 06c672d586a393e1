-- How leases of one lane stand, tier by tier; one row without a tier for a lease that was sealed before it arrived, none for one that is not known.
-- Relies on leases_pkey and lease_tiers_pkey for one probe per lease, and on being one statement: a lease that is archived meanwhile is seen before or after.
-- Parameters: lane, leases.
SELECT lease.lease_id, lease.sealed, tier.tier_number, tier.granted, tier.used
FROM unnest($2::uuid[]) AS item (lease_id)
JOIN leases AS lease ON lease.lane = $1 AND lease.lease_id = item.lease_id
LEFT JOIN lease_counts AS tier ON tier.lane = $1 AND tier.lease_id = lease.lease_id
