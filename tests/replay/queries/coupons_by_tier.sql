-- Coupons of each tier. $1 the campaign's number.
SELECT tier_number::integer, count(*) AS coupons
FROM coupons
WHERE campaign_number = $1
GROUP BY tier_number;
