-- Every transaction that moves stock or changes a campaign's control begins here and locks all tiers in the order of their numbers: none waits in a circle, and each sees what the one before did.
-- Relies on closes_at never changing. What does change of a campaign, its control, is read by a later statement: this one may have waited for the lock, and would show it as it was before the wait.
-- No row means that there is no such campaign.
SELECT campaigns.closes_at, tiers.free, tiers.leased, tiers.settled
FROM tiers
JOIN campaigns USING (campaign_number)
WHERE campaign_number = $1
ORDER BY tiers.tier_number
FOR NO KEY UPDATE OF tiers
