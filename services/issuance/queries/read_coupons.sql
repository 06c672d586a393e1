-- Reads coupons of one lane by their keys, with the reasons why they were revoked; a key that is not there yields no row.
-- Relies on coupons_pkey for one probe per item.
SELECT item.place, coupon.*
FROM unnest($2::text[], $3::integer[], $4::smallint[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, place)
CROSS JOIN LATERAL (
    SELECT slot, request_id, requested_tier_number, tier_number, key_id, issued_at, valid_until, order_id, released_order_ids, revoked_at IS NOT NULL AS revoked, claim_traceparent, campaign_number, revoked_reason
    FROM coupons AS coupon
    WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
    LIMIT 1
) AS coupon
