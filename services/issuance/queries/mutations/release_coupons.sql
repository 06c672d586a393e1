-- Gives coupons back as `queries/release_coupons.sql` does, on a table without a unique key. For proving the checker only.
WITH wanted AS MATERIALIZED (
    SELECT item.*, coupon.order_id AS held_by
    FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[], $7::timestamptz[], $10::timestamptz[])
        WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, extended_valid_until, valid_at_least_until, place)
    CROSS JOIN LATERAL (
        SELECT order_id FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        FOR NO KEY UPDATE
    ) AS coupon
), released AS (
    UPDATE coupons AS coupon
    SET order_id = nullif(coupon.order_id, item.order_id),
        redeemed_at = CASE WHEN coupon.order_id <> item.order_id THEN coupon.redeemed_at END,
        valid_until = CASE
            WHEN coupon.order_id = item.order_id THEN greatest(
                greatest(coupon.valid_until, item.extended_valid_until) + least(greatest($6 - coupon.redeemed_at, interval '0'), $8::interval),
                item.valid_at_least_until
            )
            ELSE coupon.valid_until
        END,
        released_order_ids = (coupon.released_order_ids)[greatest(cardinality(coupon.released_order_ids) - $9::integer + 2, 1):] || item.order_id
    FROM wanted AS item
    WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        AND item.order_id <> ALL (coupon.released_order_ids)
)
SELECT DISTINCT place FROM wanted WHERE held_by = order_id
