-- Relies on campaigns_id_is_unique: at most one row.
WHERE campaign_id = $1
