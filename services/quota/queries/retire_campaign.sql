-- Relies on the locks of lock_tiers: no lease is granted meanwhile, and whoever would grant one later sees that the campaign is retired. Nothing happens if something is on lease after all.
UPDATE campaigns
SET retired_at = $2
WHERE campaign_number = $1
    AND retired_at IS NULL
    AND NOT EXISTS (SELECT FROM leases WHERE leases.campaign_number + 0 = $1 AND leases.settled_at IS NULL)
