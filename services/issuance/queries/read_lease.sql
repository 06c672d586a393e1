-- What is left of a lease, tier by tier. Sealed tiers have nothing left for anybody.
-- Relies on lease_tiers_pkey.
SELECT tier_number, CASE WHEN sealed THEN 0 ELSE granted - used END AS remaining
FROM lease_tiers
WHERE lane = $1 AND lease_id = $2
ORDER BY tier_number
