-- Relies on campaigns_id_is_unique and campaigns_pkey: each id and each number is one row at most.
WHERE campaign_id = ANY ($1) OR campaign_number = ANY ($2)
