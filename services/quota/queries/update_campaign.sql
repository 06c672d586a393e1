-- Relies on the locks of lock_tiers, and on the caller having read the campaign under them. Watchers must be sent it, so the revision grows as well.
-- $8 says what the terms were until now: the first time, that is what the campaign was made with.
UPDATE campaigns
SET limit_per_shopper = $2, opens_at = $3, closes_at = $4, coupon_validity_seconds = $5,
    display_name = $6, description = $7, revision = revision + 1, ended_at = coalesce($9, ended_at),
    made_with = coalesce(made_with, sha256(convert_to($8, 'UTF8')))
WHERE campaign_number = $1
