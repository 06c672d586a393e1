-- What decides what may be changed of a campaign. Relies on the locks of lock_tiers, so that no lease is granted and no budget added meanwhile, on leases_by_campaign, budget_additions_pkey and queues_pkey, and on a lease staying there as long as its campaign is not retired.
SELECT
    EXISTS (SELECT FROM leases WHERE campaign_number = $1) AS was_lent,
    EXISTS (SELECT FROM budget_additions WHERE campaign_number = $1) AS has_added_budget,
    EXISTS (SELECT FROM queues WHERE campaign_number = $1) AS has_queue
