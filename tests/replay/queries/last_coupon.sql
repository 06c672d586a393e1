-- How many coupons a campaign has, and when the last was made. $1 the campaign's number.
SELECT count(*) AS coupons, max(issued_at) AS last_issued_at
FROM coupons
WHERE campaign_number = $1;
