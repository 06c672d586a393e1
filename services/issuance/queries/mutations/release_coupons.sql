-- Gives coupons back as `queries/release_coupons.sql` does, on a table without a unique key. For proving the checker only.
UPDATE coupons AS coupon
SET order_id = NULL, redeemed_at = NULL
FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, place)
WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot AND coupon.order_id = item.order_id
RETURNING item.place
