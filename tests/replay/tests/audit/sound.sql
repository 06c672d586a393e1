-- Sound books of one coupon, whose order is made: those of each service below its name.

--- quota
INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at)
    VALUES ('day', 'CNY', 1, '2026-01-01', '2027-01-01', 60, '2026-01-01');
INSERT INTO tiers (campaign_number, tier_number, tier_id, face_value_minor_units, initial_stock, stock, free, leased, settled)
    VALUES (1, 0, 'tea', 2500, 5, 5, 2, 3, 0);
INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 1, 0, 'issuance-0', array_fill(0, ARRAY[16]), 3, '2026-01-01');
INSERT INTO lease_tiers VALUES ('00000000-0000-0000-0000-000000000001', 0, 3, NULL);

--- issuance
INSERT INTO leases VALUES (0, '00000000-0000-0000-0000-000000000001', 1, 'issuance-0', FALSE, '2026-01-01');
INSERT INTO lease_tiers VALUES (0, '00000000-0000-0000-0000-000000000001', 0, 3, 1, FALSE);
INSERT INTO coupons VALUES (0, 'run-7', 1, 1, 'claim-1', NULL, 0, '00000000-0000-0000-0000-000000000001', 1,
    '2026-01-01', '2027-01-01', '00000000-0000-0000-0000-0000000000aa', '2026-01-01');

--- order-intake
INSERT INTO stores (store_id, display_name, area, orders_per_slot) VALUES ('store-1', 'Tea', 'centre', 1);
INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, discount_minor_units, created_at, updated_at)
    VALUES (0, 'run-7', 'order-1', '00000000-0000-0000-0000-0000000000aa', 'store-1', 'centre', '2026-01-01', 1, 2, '000020J000000000',
        decode(repeat('00', 32), 'hex'), 2500, '2026-01-01', '2026-01-01');
INSERT INTO store_slots VALUES ('store-1', '2026-01-01', 1, 1, 1);
INSERT INTO feed_heads VALUES (0, 2);
INSERT INTO order_events
    SELECT '2026-01-01', lane, position, order_id, shopper_id, store_id, area, position, NULL, NULL, '2026-01-01', slot_starts_at, slot_minutes, '2026-01-01'
    FROM orders, generate_series(1, 2) AS position;
