-- As set_control, for several campaigns at once. Relies on the locks of lock_tiers_of_many, and on the caller having read the controls under them.
UPDATE campaigns
SET issuance_control = 'HALTED', redemption_control = halt.redemption_control, control_reason = $4, resume_at = $5, control_epoch = halt.control_epoch,
    revision = revision + 1,
    redemption_revision = CASE
        WHEN campaigns.redemption_control <> halt.redemption_control OR halt.redemption_control = 'HALTED' THEN revision + 1
        ELSE redemption_revision
    END
FROM unnest($1::integer[], $2::text[], $3::bigint[]) AS halt (campaign_number, redemption_control, control_epoch)
WHERE campaigns.campaign_number = halt.campaign_number
