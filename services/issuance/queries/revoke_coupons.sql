-- Withdraws coupons for ever; tells which changed. A coupon that pays for an order stays as it is, and one withdrawn before keeps its first reason.
-- Relies on coupons_pkey: each item's row is read by a probe of its own, and then met again by the conflict on the same key, so that no plan can join the batch with the table. Nothing is ever inserted,
-- because coupons are never deleted.
-- Parameters: lane, shoppers, campaigns, slots, reasons, now.
WITH wanted AS MATERIALIZED (
    SELECT coupon.*, item.reason, item.place
    FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::text[]) WITH ORDINALITY AS item (shopper_id, campaign_number, slot, reason, place)
    CROSS JOIN LATERAL (
        SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until
        FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        LIMIT 1
    ) AS coupon
), revoked AS (
    INSERT INTO coupons AS coupon (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, revoked_at, revoked_reason)
    SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, $6, reason
    FROM wanted
    ORDER BY place
    ON CONFLICT (lane, shopper_id, campaign_number, slot) DO UPDATE
    SET revoked_at = excluded.revoked_at, revoked_reason = excluded.revoked_reason
    WHERE coupon.order_id IS NULL AND coupon.revoked_at IS NULL
    RETURNING shopper_id, campaign_number, slot
)
SELECT wanted.place FROM wanted JOIN revoked USING (shopper_id, campaign_number, slot)
