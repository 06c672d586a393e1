-- The first and the last lease of a campaign in one lane between two ids; both unset if there is none.
-- Relies on leases_by_campaign.
SELECT
    (SELECT lease_id FROM leases WHERE lane = $1 AND campaign_number = $2 AND lease_id >= $3 AND lease_id <= $4 ORDER BY lane, campaign_number, lease_id LIMIT 1),
    (SELECT lease_id FROM leases WHERE lane = $1 AND campaign_number = $2 AND lease_id >= $3 AND lease_id <= $4 ORDER BY lane DESC, campaign_number DESC, lease_id DESC LIMIT 1)
