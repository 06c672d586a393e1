-- Issues a batch of claims of one lane: answers which are replays, which are over the limit, and inserts the rest while spending the leases they were assigned to.
--
-- Relies on:
--  * coupons_pkey: two transactions that give the same shopper a coupon at the same time collide on the slot; the loser is run again and sees what the winner did. The shopper's coupons have slots
--    1 to n without gaps, because none is ever deleted, so the next slot is the count plus one.
--  * lease_tiers_never_overspent and NOT sealed: the database decides whether the stock is there. A lease that does not have it all yields no row in `spent`, and then none of its coupons are inserted.
--  * each shopper at most once in a batch, and the batch sorted by shopper, so that two writers lock in the same order.
--  * the scalar probe of the index for each item; a join would scan the table while its statistics are young.
WITH items AS MATERIALIZED (
    SELECT item.*, mine.held, mine.replay_slot
    FROM unnest($2::text[], $3::integer[], $4::text[], $5::smallint[], $6::smallint[], $7::uuid[], $8::smallint[], $9::timestamptz[], $10::text[])
        WITH ORDINALITY AS item (shopper_id, campaign_number, request_id, requested_tier_number, tier_number, lease_id, limit_per_shopper, valid_until, traceparent, place)
    CROSS JOIN LATERAL (
        SELECT count(*)::smallint AS held, max(coupon.slot) FILTER (WHERE coupon.request_id = item.request_id) AS replay_slot
        FROM coupons AS coupon
        WHERE coupon.lane = $1 AND coupon.shopper_id = item.shopper_id AND coupon.campaign_number = item.campaign_number
    ) AS mine
), fresh AS MATERIALIZED (
    SELECT * FROM items WHERE replay_slot IS NULL AND held < limit_per_shopper AND lease_id IS NOT NULL
), needed AS MATERIALIZED (
    SELECT lease_id, tier_number, count(*) AS quantity FROM fresh GROUP BY lease_id, tier_number ORDER BY lease_id, tier_number
), spent AS (
    UPDATE lease_tiers AS lease
    SET used = lease.used + needed.quantity
    FROM needed
    WHERE lease.lane = $1 AND lease.lease_id = needed.lease_id AND lease.tier_number = needed.tier_number
        AND NOT lease.sealed AND lease.used + needed.quantity <= lease.granted
    RETURNING lease.lease_id, lease.tier_number, lease.granted - lease.used AS remaining
), inserted AS (
    INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, requested_tier_number, tier_number, lease_id, key_id, issued_at, valid_until, claim_traceparent)
    SELECT $1, fresh.shopper_id, fresh.campaign_number, fresh.held + 1, fresh.request_id, fresh.requested_tier_number, fresh.tier_number, fresh.lease_id, $11, $12, fresh.valid_until, fresh.traceparent
    FROM fresh JOIN spent USING (lease_id, tier_number)
    ORDER BY fresh.place
)
SELECT items.place, items.held, items.replay_slot,
    items.replay_slot IS NULL AND items.held >= items.limit_per_shopper AS over_limit,
    CASE WHEN items.replay_slot IS NULL AND items.held < items.limit_per_shopper THEN spent.remaining END AS remaining
FROM items LEFT JOIN spent USING (lease_id, tier_number)
