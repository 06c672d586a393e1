-- When campaigns end, for some of them. Relies on campaign_ends_key for the probes.
SELECT campaign_number, closes_at
FROM campaign_ends
WHERE campaign_number = ANY ($1)
