-- Relies on the locks of lock_tiers, and on update_campaign having grown the revision.
UPDATE campaigns SET ended_at = $2 WHERE campaign_number = $1
