-- Relies on the locks of lock_tiers or lock_tiers_of_lease, taken by an earlier statement: the control cannot change meanwhile, and the campaign is not retired meanwhile.
SELECT issuance_control, redemption_control, control_reason, resume_at, control_epoch FROM campaigns WHERE campaign_number = $1
