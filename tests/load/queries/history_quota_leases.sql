-- Leases that are settled and archived. The ids are in the order in which leases were granted; lease n has used as many coupons as keep all together at their share.
INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at, settled_at, sealed_because, archived_granted, archived_used)
SELECT
    lpad(to_hex(n), 32, '0')::uuid, $1::integer, (n % $4)::smallint, 'issuance-0/0123abcd', '{}', 1, now(), now(), 'RETURNED',
    ARRAY[greatest(n * $3 / $2 - (n - 1) * $3 / $2, 1)], ARRAY[n * $3 / $2 - (n - 1) * $3 / $2]
FROM generate_series(1::bigint, $2::bigint) AS n
