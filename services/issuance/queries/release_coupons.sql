-- Gives coupons back that the named orders hold; tells which changed.
-- Relies on coupons_pkey for one probe per item; a coupon held by another order, or by none, stays as it is.
UPDATE coupons AS coupon
SET order_id = NULL, redeemed_at = NULL
FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, place)
WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    AND coupon.order_id = item.order_id
RETURNING item.place
