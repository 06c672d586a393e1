-- How the controls of these campaigns stand, without their terms, in the order of their numbers. One statement, so all are seen at the same instant. Relies on campaigns_pkey and tiers_pkey.
SELECT
    campaign_number, campaign_id, closes_at, ended_at, issuance_control, redemption_control, control_reason, resume_at,
    control_epoch, redemption_revision, extension_revision, fenced_revision,
    NOT EXISTS (
        SELECT FROM tiers
        WHERE tiers.campaign_number = campaigns.campaign_number AND tiers.leased > 0
    ) AS nothing_leased
FROM campaigns
WHERE campaign_number = ANY ($1)
ORDER BY campaign_number
