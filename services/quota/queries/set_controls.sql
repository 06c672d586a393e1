-- Relies on the locks of lock_tiers or lock_tiers_of_many, and on the caller having read the controls under them. Watchers must be sent them, so the revisions grow as well.
-- Issuance's database must have what is said of redeeming; during a halt also when it is to end.
UPDATE campaigns
SET issuance_control = said.issuance_control, redemption_control = said.redemption_control, control_reason = said.reason, resume_at = said.resume_at,
    control_epoch = said.epoch, revision = revision + 1,
    redemption_revision = CASE
        WHEN campaigns.redemption_control <> said.redemption_control OR said.redemption_control = 'HALTED' THEN revision + 1
        ELSE redemption_revision
    END
FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[])
    AS said (campaign_number, issuance_control, redemption_control, reason, resume_at, epoch)
WHERE campaigns.campaign_number = said.campaign_number
