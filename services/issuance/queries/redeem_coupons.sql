-- Uses coupons for orders. What became of each is read afterwards from the rows themselves: a coupon whose order_id is the item's is redeemed by it, now or by an earlier attempt.
-- Relies on coupons_pkey for one probe per item, and on the row's own state: only a coupon that is free, valid and not revoked changes, so two orders that race for one cannot both have it.
UPDATE coupons AS coupon
SET order_id = item.order_id, redeemed_at = $6
FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[]) AS item (shopper_id, campaign_number, slot, order_id)
WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    AND coupon.order_id IS NULL AND coupon.revoked_at IS NULL AND coupon.valid_until > $6
