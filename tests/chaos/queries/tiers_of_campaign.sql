-- Where the stock of each tier is. $1 the campaign's number.
SELECT tier_number, tier_id, stock, free, leased, settled
FROM tiers
WHERE campaign_number = $1;
