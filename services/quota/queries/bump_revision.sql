-- Relies on the locks of lock_tiers, so that revisions grow in the order of the changes they stand for.
UPDATE campaigns SET revision = revision + 1 WHERE campaign_number = $1
