-- Seals a lease and tells what was used of it. Sealing again changes nothing and tells the same.
-- Relies on the row locks of lease_tiers: a commit that is spending the lease either ends before and is counted, or comes after and finds it sealed.
WITH header AS (
    UPDATE leases SET sealed = TRUE WHERE lane = $1 AND lease_id = $2
)
UPDATE lease_tiers SET sealed = TRUE
WHERE lane = $1 AND lease_id = $2
RETURNING tier_number, used
