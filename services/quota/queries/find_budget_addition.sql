-- Relies on budget_additions_pkey, and on the locks of lock_tiers: the same addition cannot be made meanwhile.
SELECT tier_number, additional_stock FROM budget_additions WHERE campaign_number = $1 AND request_id = $2
