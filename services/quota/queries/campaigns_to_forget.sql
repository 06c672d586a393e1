-- Retired campaigns whose leases are still there, $1 at most. Relies on campaigns_to_forget.
SELECT campaign_number FROM campaigns WHERE retired_at IS NOT NULL AND NOT leases_forgotten ORDER BY campaign_number LIMIT $1
