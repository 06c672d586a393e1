-- What the archived leases of a campaign used in one lane, tier by tier, those that are forgotten included.
-- Relies on archived_lease_sums_pkey.
SELECT tier_number, used FROM archived_lease_sums WHERE lane = $1 AND campaign_number = $2 ORDER BY tier_number
