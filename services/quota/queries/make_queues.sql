-- Relies on queues_pkey: of two at the same time one waits for the other. In the order of campaign numbers, as the locks are taken.
INSERT INTO queues (campaign_number)
SELECT campaign_number FROM campaigns WHERE campaign_number = ANY ($1) ORDER BY campaign_number
ON CONFLICT (campaign_number) DO NOTHING
