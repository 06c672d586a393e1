-- Reads what staff have said of campaigns in one lane; rows that are missing are missing in the answer.
-- Relies on campaign_controls_pkey.
-- Parameters: lane, campaigns.
SELECT campaign_number, revision, redemption_control, resume_at, extended_valid_until
FROM campaign_controls
WHERE lane = $1 AND campaign_number = ANY ($2)
