-- Uses coupons for orders as `queries/redeem_coupons.sql` does, on a table without a unique key. For proving the checker only.
UPDATE coupons AS coupon
SET order_id = item.order_id, redeemed_at = $6
FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[], $7::integer[], $8::timestamptz[]) AS item (shopper_id, campaign_number, slot, order_id, payable_tiers, extended_valid_until)
WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    AND (item.payable_tiers & (1 << coupon.tier_number)) <> 0
    AND coupon.order_id IS NULL AND coupon.revoked_at IS NULL AND item.order_id <> ALL (coupon.released_order_ids) AND greatest(coupon.valid_until, item.extended_valid_until) > $6
RETURNING coupon.shopper_id, 0::bigint AS place, coupon.slot, coupon.request_id, coupon.requested_tier_number, coupon.tier_number, coupon.key_id, coupon.issued_at, coupon.valid_until, coupon.order_id,
    coupon.released_order_ids, coupon.revoked_at IS NOT NULL AS revoked, coupon.claim_traceparent, coupon.campaign_number
