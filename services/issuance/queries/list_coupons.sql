-- A page of a shopper's wallet, newest campaign first. ($3, $4) is the last key of the page before; $5 limits to one campaign unless it is 0.
-- Relies on coupons_pkey, read backwards from the key.
SELECT slot, request_id, requested_tier_number, tier_number, key_id, issued_at, valid_until, order_id, released_order_ids, revoked_at IS NOT NULL AS revoked, claim_traceparent, campaign_number
FROM coupons
WHERE lane = $1 AND shopper_id = $2 AND (campaign_number, slot) < ($3, $4) AND ($5 = 0 OR campaign_number = $5)
ORDER BY lane DESC, shopper_id DESC, campaign_number DESC, slot DESC
LIMIT $6
