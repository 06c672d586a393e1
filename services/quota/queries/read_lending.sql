-- Relies on the locks of lock_tiers or lock_tiers_of_lease, taken by an earlier statement: none of this can change meanwhile. Relies on tiers_pkey for the count.
SELECT
    closes_at, ended_at IS NOT NULL OR retired_at IS NOT NULL AS is_over,
    (SELECT count(*) FROM tiers WHERE tiers.campaign_number = campaigns.campaign_number) AS tier_count,
    issuance_control, redemption_control, control_reason, resume_at, control_epoch
FROM campaigns
WHERE campaign_number = $1
