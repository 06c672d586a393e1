-- Relies on campaigns_by_end, and on CreateCampaign to bound how many there are. One statement, so every campaign is seen at the same instant.
SELECT * FROM campaign_states WHERE closes_at > $1
