-- Relies on the locks of lock_tiers, and on the caller having seen that nothing of the campaign was ever lent or added. The first tier stays, because its lock is the campaign's.
DELETE FROM tiers WHERE campaign_number = $1 AND tier_number > 0
