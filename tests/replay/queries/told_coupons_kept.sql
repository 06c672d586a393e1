-- Whether every coupon that a caller was told of is there, for that shopper and request. $1 the campaign's number.
-- Relies on told_coupons having been filled in this session, and on a shopper's coupons being of one lane. A join and no
-- EXISTS: the table's key begins with the lane, so that a look for each shopper would read the whole of its index.
SELECT
    count(*) AS coupons_told,
    count(*) FILTER (WHERE coupon.slot IS NULL) AS wrong_coupons_lost
FROM (SELECT DISTINCT * FROM told_coupons) AS told
LEFT JOIN coupons AS coupon
    ON coupon.shopper_id = told.shopper_id
    AND coupon.campaign_number = $1
    AND coupon.campaign_number = told.campaign_number
    AND coupon.slot = told.slot
    AND coupon.request_id = told.request_id;
