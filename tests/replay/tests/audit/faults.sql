-- Changes that make one of the sound books wrong. The line above each says whose book it is, and what must be found of it.

--- quota never-oversold: wrong_tiers_that_do_not_add_up
ALTER TABLE tiers DROP CONSTRAINT tiers_conserve_stock; UPDATE tiers SET free = 3;
--- quota never-oversold: wrong_tiers_below_zero
ALTER TABLE tiers DROP CONSTRAINT tiers_free_is_not_negative; UPDATE tiers SET free = -1, leased = 6;
--- quota never-oversold: wrong_tiers_that_differ_from_their_leases
UPDATE tiers SET free = 1, leased = 4;
--- issuance never-oversold: wrong_leases_whose_use_is_not_their_coupons
UPDATE lease_tiers SET used = 2;
--- issuance never-oversold: wrong_leases_overspent
ALTER TABLE lease_tiers DROP CONSTRAINT lease_tiers_never_overspent; UPDATE lease_tiers SET granted = 0;
--- issuance never-oversold: wrong_leases_larger_than_granted
UPDATE lease_tiers SET granted = 4;
--- quota never-oversold: wrong_leases_that_quota_never_granted
DELETE FROM lease_tiers;
--- quota never-oversold: wrong_leases_settled_with_another_use
UPDATE leases SET settled_at = '2026-01-02'; UPDATE lease_tiers SET used = 0; UPDATE tiers SET free = 5, leased = 0;
--- issuance never-oversold: wrong_coupons_beyond_stock
UPDATE coupons SET tier_number = 1;
--- issuance exactly-once: wrong_claims_with_two_coupons
ALTER TABLE coupons DROP CONSTRAINT coupons_pkey; UPDATE lease_tiers SET used = 2;
INSERT INTO coupons VALUES (0, 'run-7', 1, 2, 'claim-1', NULL, 0, '00000000-0000-0000-0000-000000000001', 1, '2026-01-01', '2027-01-01');
--- issuance exactly-once: wrong_shoppers_over_the_limit
ALTER TABLE coupons DROP CONSTRAINT coupons_pkey; UPDATE lease_tiers SET used = 2;
INSERT INTO coupons VALUES (0, 'run-7', 1, 2, 'claim-2', NULL, 0, '00000000-0000-0000-0000-000000000001', 1, '2026-01-01', '2027-01-01');
--- issuance acked-is-kept: wrong_coupons_lost
DELETE FROM coupons;
--- orders acked-is-kept: wrong_orders_lost
DELETE FROM orders;
--- orders acked-is-kept: wrong_accepted_orders_taken_back
UPDATE orders SET state = 3, rejected_because = 'X', rejection_metadata = '{}';
--- issuance redeemed-once: wrong_accepted_orders_not_paid_for
UPDATE coupons SET order_id = NULL, redeemed_at = NULL;
--- orders redeemed-once: wrong_coupons_that_paid_for_two_orders
DROP INDEX orders_one_paid_per_coupon_of_shopper;
INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at)
SELECT lane, shopper_id, 'order-2', '00000000-0000-0000-0000-0000000000bb', store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at FROM orders;
--- orders redeemed-once: wrong_requests_with_two_orders
ALTER TABLE orders DROP CONSTRAINT orders_key; DROP INDEX orders_one_paid_per_coupon_of_shopper;
INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at)
SELECT lane, shopper_id, request_id, '00000000-0000-0000-0000-0000000000bb', store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at FROM orders;
--- issuance redeemed-once: wrong_orders_paid_for_twice
UPDATE lease_tiers SET used = 2;
INSERT INTO coupons
SELECT lane, 'run-8', 1, 1, 'claim-1', NULL, 0, lease_id, 1, issued_at, valid_until, order_id, redeemed_at FROM coupons;
--- issuance redeemed-once: wrong_orders_paid_for_by_another_shopper
UPDATE coupons SET shopper_id = 'run-9';
--- orders redeemed-once: wrong_redeemed_coupons_without_an_accepted_order
DELETE FROM orders;
--- orders redeemed-once: wrong_cancelled_orders_that_hold_a_coupon
UPDATE orders SET state = 7, coupon_released_at = '2026-01-02';
--- orders stores-survive: wrong_slots_above_capacity
UPDATE store_slots SET booked = 0, capacity_when_booked = 0;
--- orders stores-survive: wrong_slots_whose_bookings_are_not_their_orders
DELETE FROM store_slots;
--- orders stores-survive: wrong_slots_with_another_capacity_than_staff_said
UPDATE store_slots SET capacity_when_booked = 2;
--- orders stores-survive: wrong_orders_whose_changes_the_feed_does_not_tell
DELETE FROM order_events WHERE position = 2; UPDATE feed_heads SET last_position = 1;
--- orders stores-survive: wrong_orders_whose_changes_the_feed_does_not_tell
UPDATE order_events SET state = 3 - state;
--- orders stores-survive: wrong_orders_that_only_the_feed_knows
UPDATE order_events SET order_id = '00000000-0000-0000-0000-0000000000bb';
--- orders stores-survive: wrong_lanes_with_gaps
UPDATE order_events SET position = 3 WHERE position = 2; UPDATE feed_heads SET last_position = 3;
--- orders stores-survive: wrong_lanes_with_gaps
UPDATE feed_heads SET last_position = 3;
--- orders stores-survive: wrong_accepted_orders_that_fulfilment_never_heard_of
UPDATE orders SET order_id = '00000000-0000-0000-0000-0000000000bb';
