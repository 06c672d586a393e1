-- Reads coupons of one lane by their keys; a key that is not there yields no row.
-- Relies on coupons_pkey for one probe per item.
SELECT item.place, coupon.slot, coupon.request_id, coupon.requested_tier_number, coupon.tier_number, coupon.key_id, coupon.issued_at, coupon.valid_until, coupon.order_id, coupon.released_order_ids,
    coupon.revoked_at IS NOT NULL AS revoked, coupon.claim_traceparent, coupon.campaign_number
FROM unnest($2::text[], $3::integer[], $4::smallint[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, place)
CROSS JOIN LATERAL (
    SELECT * FROM coupons AS coupon
    WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    LIMIT 1
) AS coupon
