-- A shopper's coupons, the newest first, with the reasons why they were revoked: $6 at most, and only those older than ($3, $4, $5) unless $3 is unset.
-- Relies on coupons_pkey: all of a shopper's coupons, which are few, are read by key prefix and sorted.
SELECT slot, request_id, requested_tier_number, tier_number, key_id, issued_at, valid_until, order_id, released_order_ids, revoked_at IS NOT NULL AS revoked, claim_traceparent, campaign_number,
    revoked_reason
FROM coupons
WHERE lane = $1 AND shopper_id = $2 AND ($3 IS NULL OR (issued_at, campaign_number, slot) < ($3, $4, $5))
ORDER BY issued_at DESC, campaign_number DESC, slot DESC
LIMIT $6
