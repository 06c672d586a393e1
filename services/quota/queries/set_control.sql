-- Relies on the locks of lock_tiers, and on the caller having read the control under them. Watchers must be sent it, so the revision grows as well.
-- Issuance's database must have what is said of redeeming; during a halt also when it is to end.
UPDATE campaigns
SET issuance_control = $2, redemption_control = $3, control_reason = $4, resume_at = $5, control_epoch = $6, revision = revision + 1,
    redemption_revision = CASE WHEN redemption_control <> $3 OR $3 = 'HALTED' THEN revision + 1 ELSE redemption_revision END
WHERE campaign_number = $1
