-- Relies on the locks of lock_tiers, and on the caller having read the campaign under them. Watchers must be sent it, so the revision grows as well.
UPDATE campaigns SET extended_valid_until = $2, revision = revision + 1, extension_revision = revision + 1 WHERE campaign_number = $1
