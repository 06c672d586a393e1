-- All coupons of a campaign, over all lanes. $1 the campaign's number.
SELECT count(*) FROM coupons WHERE campaign_number = $1;
