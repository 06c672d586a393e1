-- As lock_tiers, for several campaigns: in the order of their numbers, so that two who do this do not wait in a circle, and whoever locks one campaign never waits for a second.
SELECT tier_number FROM tiers WHERE campaign_number = ANY ($1) ORDER BY campaign_number, tier_number FOR NO KEY UPDATE
