-- Notes that nothing is left to forget of a retired campaign in one lane, if so it is.
-- Relies on leases_by_campaign.
UPDATE retired_campaigns SET leases_forgotten = TRUE
WHERE lane = $1 AND campaign_number = $2
    AND NOT EXISTS (SELECT FROM leases WHERE leases.lane = $1 AND leases.campaign_number = $2)
