-- Relies on campaigns_pkey for the order and on campaign numbers growing with time: newest first, from below $1.
WHERE campaign_number < $1 ORDER BY campaign_number DESC LIMIT $2
