-- Remembers when campaigns end, and never an earlier end than before. Relies on campaign_ends_key, and on the list being sorted by it with each number once.
INSERT INTO campaign_ends (campaign_number, closes_at)
SELECT *
FROM UNNEST($1::integer[], $2::timestamptz[])
ON CONFLICT ON CONSTRAINT campaign_ends_key DO UPDATE
SET closes_at = greatest(campaign_ends.closes_at, excluded.closes_at)
