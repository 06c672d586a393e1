-- Installs a lease that quota has granted, once. No row comes back if there is nothing to spend: it was installed by an earlier attempt, sealed before it ever arrived, or asked for on an earlier timeline
-- of the database. That one leaves a tombstone: its seal may be among what the timeline before has lost.
-- The first of two statements of one transaction; `lease_is_too_late.sql` is the second.
-- Relies on leases_pkey: an archived lease keeps its row, so it cannot come back; and on lane_timelines_pkey for the lock that keeps the timeline until this is committed.
WITH current AS (
    SELECT timeline FROM lane_timelines WHERE lane = $1 FOR SHARE
), installed AS (
    INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at, sealed)
    SELECT $1, $2, $3, $4, $5, current.timeline <> $6
    FROM current
    ON CONFLICT (lane, lease_id) DO NOTHING
    RETURNING lane, lease_id, sealed
), stocked AS (
    INSERT INTO lease_tiers (lane, lease_id, tier_number, granted)
    SELECT installed.lane, installed.lease_id, tier.tier_number, tier.granted
    FROM installed, unnest($7::smallint[], $8::bigint[]) AS tier (tier_number, granted)
    WHERE NOT installed.sealed
)
SELECT lease_id FROM installed WHERE NOT sealed
