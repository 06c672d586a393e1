-- The campaigns that have not ended, and those closed after $3 of which something is on lease: a claim under way may yet commit. $2 at most, those that are not halted first. Relies on campaigns_by_end, and on CreateCampaign to bound how many run.
SELECT campaign_number
FROM campaigns
WHERE closes_at > $3
  AND ended_at IS NULL
  AND (
      closes_at > $1
      OR EXISTS (SELECT FROM tiers WHERE tiers.campaign_number = campaigns.campaign_number AND tiers.leased > 0)
  )
ORDER BY (issuance_control = 'HALTED'), campaign_number
LIMIT $2
