-- Retired campaigns of one lane whose leases are still there, $2 at most.
-- Relies on retired_campaigns_to_forget.
SELECT campaign_number FROM retired_campaigns WHERE lane = $1 AND NOT leases_forgotten ORDER BY lane, campaign_number LIMIT $2
