-- Reads what staff have said of campaigns in one lane, and keeps it as it is until the transaction
-- ends: a change waits for the redemptions that are under way, and those that come later see it. Rows
-- that are missing are missing in the answer.
-- Relies on campaign_controls_pkey. Shared, so that the writers of several replicas do not wait for
-- each other; in the order of the numbers, as rows are made.
-- Parameters: lane, campaigns.
SELECT campaign_number, revision, redemption_control, resume_at, extended_valid_until
FROM campaign_controls
WHERE lane = $1 AND campaign_number = ANY ($2)
ORDER BY campaign_number
FOR SHARE
