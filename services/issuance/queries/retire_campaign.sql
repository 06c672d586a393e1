-- Notes in one lane that a campaign installs no lease any more. Noting it again changes nothing.
-- Relies on retired_campaigns_pkey.
INSERT INTO retired_campaigns (lane, campaign_number) VALUES ($1, $2) ON CONFLICT (lane, campaign_number) DO NOTHING
