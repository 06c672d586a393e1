-- Relies on the locks of lock_tiers, on leases_pkey against a second lease of the same id, and on tiers_free_is_not_negative against lending what is not there.
WITH granted AS (
    SELECT * FROM unnest($8::smallint[], $9::bigint[]) AS granted (tier_number, quantity)
), lease AS (
    INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
), lent AS (
    UPDATE tiers
    SET free = tiers.free - granted.quantity, leased = tiers.leased + granted.quantity
    FROM granted
    WHERE tiers.campaign_number = $2 AND tiers.tier_number = granted.tier_number
)
INSERT INTO lease_tiers (lease_id, tier_number, granted)
SELECT $1, tier_number, quantity FROM granted
