-- As lock_tiers, for the campaign of a lease, which never changes; neither do its tiers once there is one. No row means that there is no such lease.
SELECT tiers.free, tiers.leased, tiers.settled
FROM leases
JOIN tiers USING (campaign_number)
WHERE leases.lease_id = $1
ORDER BY tiers.tier_number
FOR NO KEY UPDATE OF tiers
