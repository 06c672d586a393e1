-- Notes for each coupon that its order has given it back, so that a redemption of that order that arrives later finds itself refused; frees the coupon if the order holds it, and tells which those were.
-- Relies on coupons_pkey: each item's row is read by a probe of its own, and then met again by the conflict on the same key, so that no plan can join the batch with the table. Nothing is ever inserted,
-- because coupons are never deleted. The probe locks the row, so what it tells of the holder is still so when the conflict changes the row. A coupon that another order holds, or none, only gets the note,
-- and nothing at all if it has it: releasing again changes nothing. Only the newest notes are kept.
-- What the order held of the validity is added to its end, the campaign's extension included: never less than nothing and never more than the bound, because clocks may jump. `valid_until` of the proposed
-- row is the new end, or the moment that the release asks it to be valid until if that is later. A
-- day has 24 hours: sessions are in UTC.
-- Parameters: lane, shoppers, campaigns, slots, orders, now, extensions, longest time added, notes
-- kept, valid at least until.
WITH wanted AS MATERIALIZED (
    SELECT
        coupon.*,
        greatest(
            greatest(coupon.own_valid_until, item.extended_valid_until) + least(greatest($6 - coupon.held_since, interval '0'), $8::interval),
            item.valid_at_least_until
        ) AS valid_until,
        item.order_id AS released_by,
        item.place
    FROM unnest($2::text[], $3::integer[], $4::smallint[], $5::uuid[], $7::timestamptz[], $10::timestamptz[])
        WITH ORDINALITY AS item (shopper_id, campaign_number, slot, order_id, extended_valid_until, valid_at_least_until, place)
    CROSS JOIN LATERAL (
        SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until AS own_valid_until, order_id AS held_by, redeemed_at AS held_since
        FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number AND coupon.slot = item.slot
        LIMIT 1
        FOR NO KEY UPDATE
    ) AS coupon
), released AS (
    INSERT INTO coupons AS coupon (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, order_id, redeemed_at)
    SELECT lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until, released_by, $6
    FROM wanted
    ORDER BY place
    ON CONFLICT (lane, shopper_id, campaign_number, slot) DO UPDATE
    SET order_id = nullif(coupon.order_id, excluded.order_id),
        redeemed_at = CASE WHEN coupon.order_id <> excluded.order_id THEN coupon.redeemed_at END,
        valid_until = CASE
            WHEN coupon.order_id = excluded.order_id THEN excluded.valid_until
            ELSE coupon.valid_until
        END,
        released_order_ids = CASE
            WHEN excluded.order_id = ANY (coupon.released_order_ids) THEN coupon.released_order_ids
            ELSE (coupon.released_order_ids)[greatest(cardinality(coupon.released_order_ids) - $9::integer + 2, 1):] || excluded.order_id
        END
    WHERE coupon.order_id = excluded.order_id OR excluded.order_id <> ALL (coupon.released_order_ids)
)
SELECT place FROM wanted WHERE held_by = released_by
