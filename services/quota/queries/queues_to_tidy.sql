-- Relies on there being one queue a campaign at most. Campaigns of which something is left to forget.
SELECT queues.campaign_number
FROM queues
WHERE EXISTS (SELECT FROM queue_cohorts WHERE queue_cohorts.campaign_number = queues.campaign_number)
ORDER BY queues.campaign_number
LIMIT $1
