-- Whether anybody was told that nothing is left while the coupon of that very claim was there and no answer ever named it.
-- $1 the campaign's number. Relies on told_sell_outs and told_coupons having been filled in this session, and on one clock for both.
SELECT
    count(*) AS claims_told_that_nothing_is_left,
    count(*) FILTER (
        WHERE coupon.issued_at < told.asked_at AND delivered.shopper_id IS NULL
    ) AS wrong_sell_outs_told_to_holders_of_an_undelivered_coupon
FROM told_sell_outs AS told
LEFT JOIN coupons AS coupon
    ON coupon.shopper_id = told.shopper_id
    AND coupon.request_id = told.request_id
    AND coupon.campaign_number = $1
LEFT JOIN (
    SELECT DISTINCT shopper_id, request_id FROM told_coupons
) AS delivered
    ON delivered.shopper_id = told.shopper_id
    AND delivered.request_id = told.request_id;
