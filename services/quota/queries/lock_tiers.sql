-- Every transaction that moves stock begins here and locks all tiers in the order of their numbers: none waits in a circle, and each sees what the one before did.
-- Relies on campaigns being immutable but for their revision. No row means that there is no such campaign.
SELECT campaigns.closes_at, tiers.free, tiers.leased, tiers.settled
FROM tiers
JOIN campaigns USING (campaign_number)
WHERE campaign_number = $1
ORDER BY tiers.tier_number
FOR NO KEY UPDATE OF tiers
