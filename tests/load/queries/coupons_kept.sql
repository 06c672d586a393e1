-- Every coupon of the campaign that is in the database.
SELECT count(*) FROM coupons WHERE campaign_number = $1
