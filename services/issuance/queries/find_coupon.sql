-- Reads one coupon by its key, with the reason why it was revoked.
-- Relies on coupons_pkey.
SELECT slot, request_id, requested_tier_number, tier_number, key_id, issued_at, valid_until, order_id, released_order_ids, revoked_at IS NOT NULL AS revoked, claim_traceparent, campaign_number,
    revoked_reason
FROM coupons
WHERE lane = $1 AND shopper_id = $2 AND campaign_number = $3 AND slot = $4
