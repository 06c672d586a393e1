-- Finds the coupon that a claim produced.
-- Relies on coupons_pkey: the shopper's few coupons of the campaign are read by key prefix.
SELECT slot, request_id, requested_tier_number, tier_number, key_id, issued_at, valid_until, order_id, released_order_ids, revoked_at IS NOT NULL AS revoked, claim_traceparent, campaign_number
FROM coupons
WHERE lane = $1 AND shopper_id = $2 AND campaign_number = $3 AND request_id = $4
LIMIT 1
