-- Relies on the locks of lock_tiers, and on the caller having read the campaign under them. Watchers must be sent it, so the revision grows as well.
-- $5 says what the terms were until now: the first time, that is what the campaign was made with.
UPDATE campaigns
SET opens_at = $2, closes_at = $3, ended_at = $4, revision = revision + 1,
    made_with = coalesce(made_with, sha256(convert_to($5, 'UTF8')))
WHERE campaign_number = $1
