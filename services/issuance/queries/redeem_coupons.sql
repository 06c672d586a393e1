-- Uses coupons for orders, and tells those that changed as they stand now. The others are read afterwards: a coupon whose order_id is the item's was redeemed by it in an earlier attempt.
-- Relies on coupons_pkey: each item's row is read by a probe of its own, and then met again by the conflict on the same key, so that no plan can join the batch with the table. Nothing is ever inserted,
-- because coupons are never deleted. Two orders that race for one coupon cannot both have it: the conflict locks the newest version of the row, and only one that is free, valid, not revoked and not given
-- back by the same order changes. The end of validity is proposed with the row, the campaign's extension included; a coupon's own end only ever grows, so the later of the one proposed and the newest
-- counts. A coupon's tier never changes: the version that was probed tells whether its tier is among those that may pay, given as a bit for each tier number.
-- Parameters: lane, shoppers, campaigns, slots, orders, now, tiers that may pay, extensions.
WITH wanted AS MATERIALIZED (
    SELECT coupon.*, greatest(coupon.own_valid_until, item.extended_valid_until) AS valid_until, item.order_id AS new_order_id, item.place
    FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[], $7::integer[], $8::timestamptz[])
        WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, payable_tiers, extended_valid_until, place)
    CROSS JOIN LATERAL (
        SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until AS own_valid_until
        FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        LIMIT 1
    ) AS coupon
    WHERE (item.payable_tiers & (1 << coupon.tier_number)) <> 0
)
INSERT INTO coupons AS coupon (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, order_id, redeemed_at)
SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, new_order_id, $6
FROM wanted
ORDER BY place
ON CONFLICT (lane, shopper_id, campaign_number, slot) DO UPDATE
SET order_id = excluded.order_id, redeemed_at = excluded.redeemed_at
WHERE coupon.order_id IS NULL AND coupon.revoked_at IS NULL AND excluded.order_id <> ALL (coupon.released_order_ids) AND greatest(coupon.valid_until, excluded.valid_until) > $6
RETURNING coupon.shopper_id, coupon.slot, coupon.request_id, coupon.requested_tier_number, coupon.tier_number, coupon.key_id, coupon.issued_at, coupon.valid_until, coupon.order_id,
    coupon.released_order_ids, coupon.revoked_at IS NOT NULL AS revoked, coupon.claim_traceparent, coupon.campaign_number
