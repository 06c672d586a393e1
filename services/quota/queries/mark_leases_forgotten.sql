-- Notes that no lease of a retired campaign is left, if so it is. Relies on leases_by_campaign.
UPDATE campaigns SET leases_forgotten = TRUE
WHERE campaign_number = $1 AND retired_at IS NOT NULL AND NOT EXISTS (SELECT FROM leases WHERE leases.campaign_number = $1)
