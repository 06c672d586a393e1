-- Coupons in the order of their leases, as claims leave them; coupon m is of the first lease that brings all together to m.
INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
SELECT
    ((m * $2 + $3 - 1) / $3 % $4)::smallint, md5(m::text), $1::integer, 1, 'r-1', 0, lpad(to_hex((m * $2 + $3 - 1) / $3), 32, '0')::uuid, 1, now(), now() + interval '1 day'
FROM generate_series(1::bigint, $3::bigint) AS m
