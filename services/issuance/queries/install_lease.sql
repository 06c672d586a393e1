-- Installs a lease that quota has granted, once. No row comes back if the lease is there already: then it was installed by an earlier attempt, or sealed before it ever arrived.
-- The first of two statements of one transaction; `lease_is_too_late.sql` is the second.
-- Relies on leases_pkey: an archived lease keeps its row, so it cannot come back.
WITH installed AS (
    INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (lane, lease_id) DO NOTHING
    RETURNING lane, lease_id
), stocked AS (
    INSERT INTO lease_tiers (lane, lease_id, tier_number, granted)
    SELECT installed.lane, installed.lease_id, tier.tier_number, tier.granted
    FROM installed, unnest($6::smallint[], $7::bigint[]) AS tier (tier_number, granted)
)
SELECT lease_id FROM installed
