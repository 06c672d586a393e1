-- Every transaction that moves stock or changes a campaign begins here and locks all tiers in the order of their numbers: none waits in a circle, and each sees what the one before did.
-- Relies on a campaign always having its first tier, whose lock is in effect the campaign's.
-- Whatever else may change of a campaign, also how many tiers it has, is read by a later statement: this one may have waited for the lock, and would show it as it was before the wait.
-- No row means that there is no such campaign.
SELECT free, leased, settled
FROM tiers
WHERE campaign_number = $1
ORDER BY tier_number
FOR NO KEY UPDATE
