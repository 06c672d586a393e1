-- Stock of each tier. $1 the campaign's number.
SELECT tier_number::integer, stock::bigint
FROM tiers
WHERE campaign_number = $1;
