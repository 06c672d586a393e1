-- Gives coupons back that the named orders hold; tells which changed.
-- Relies on coupons_pkey: each item's row is read by a probe of its own, and then met again by the conflict on the same key, so that no plan can join the batch with the table. Nothing is ever inserted,
-- because coupons are never deleted. A coupon held by another order, or by none, stays as it is.
WITH wanted AS MATERIALIZED (
    SELECT coupon.*, item.order_id AS held_by, item.place
    FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, place)
    CROSS JOIN LATERAL (
        SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until
        FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        LIMIT 1
    ) AS coupon
), released AS (
    INSERT INTO coupons AS coupon (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, order_id, redeemed_at)
    SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, held_by, issued_at
    FROM wanted
    ORDER BY place
    ON CONFLICT (lane, shopper_id, campaign_number, slot) DO UPDATE
    SET order_id = NULL, redeemed_at = NULL
    WHERE coupon.order_id = excluded.order_id
    RETURNING shopper_id, campaign_number, slot
)
SELECT wanted.place FROM wanted JOIN released USING (shopper_id, campaign_number, slot)
