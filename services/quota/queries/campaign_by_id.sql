-- Relies on campaigns_id_is_unique: at most one row.
SELECT * FROM campaign_states WHERE campaign_id = $1
