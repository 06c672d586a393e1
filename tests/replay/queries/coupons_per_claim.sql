-- Whether each claim has one coupon and no shopper more than the limit. $1 the campaign's number, $2 the limit.
-- Over all lanes: a shopper whose coupons lie in two lanes is found as well.
WITH shoppers AS (
    SELECT shopper_id, count(*) AS coupons, count(DISTINCT request_id) AS requests
    FROM coupons
    WHERE campaign_number = $1
    GROUP BY shopper_id
)
SELECT
    count(*) AS shoppers_with_a_coupon,
    count(*) FILTER (WHERE coupons > requests) AS wrong_claims_with_two_coupons,
    count(*) FILTER (WHERE coupons > $2) AS wrong_shoppers_over_the_limit
FROM shoppers;
