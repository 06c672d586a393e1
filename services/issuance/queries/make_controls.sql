-- Makes the rows of campaigns that have none in a lane, of what is known of them.
-- Relies on campaign_controls_pkey: of two that make or change a row at the same time one waits for
-- the other, so after this statement every row is there for the next one to lock.
-- Parameters: lane, campaigns.
INSERT INTO campaign_controls (lane, campaign_number, revision, redemption_control, resume_at, extended_valid_until)
SELECT $1, item.campaign_number, coalesce(known.revision, 0), coalesce(known.redemption_control, 'OPEN'), known.resume_at, known.extended_valid_until
FROM unnest($2::integer[]) AS item (campaign_number)
LEFT JOIN campaigns AS known ON known.campaign_number = item.campaign_number
ORDER BY item.campaign_number
ON CONFLICT (lane, campaign_number) DO NOTHING
