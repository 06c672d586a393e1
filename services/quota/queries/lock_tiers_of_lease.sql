-- As lock_tiers, for the campaign of a lease, which never changes. No row means that there is no such lease.
SELECT campaigns.closes_at, tiers.free, tiers.leased, tiers.settled
FROM leases
JOIN tiers USING (campaign_number)
JOIN campaigns USING (campaign_number)
WHERE leases.lease_id = $1
ORDER BY tiers.tier_number
FOR NO KEY UPDATE OF tiers
