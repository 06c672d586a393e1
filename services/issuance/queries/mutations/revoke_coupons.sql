-- Withdraws coupons as `queries/revoke_coupons.sql` does, on a table without a unique key. For proving the checker only.
UPDATE coupons AS coupon
SET revoked_at = $6, revoked_reason = item.reason
FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::text[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, reason, place)
WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    AND coupon.order_id IS NULL AND coupon.revoked_at IS NULL
RETURNING item.place
