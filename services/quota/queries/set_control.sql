-- Relies on the locks of lock_tiers, and on the caller having read the control under them. Watchers must hear of it, so the revision grows as well.
UPDATE campaigns
SET issuance_control = $2, redemption_control = $3, control_reason = $4, resume_at = $5, control_epoch = $6, revision = revision + 1
WHERE campaign_number = $1
