-- The same leases as at quota, sealed, returned and archived.
INSERT INTO leases (lane, lease_id, campaign_number, holder_id, sealed, installed_at, returned_at, archived_granted, archived_used)
SELECT
    (n % $4)::smallint, lpad(to_hex(n), 32, '0')::uuid, $1::integer, 'issuance-0/0123abcd', TRUE, now(), now(),
    ARRAY[greatest(n * $3 / $2 - (n - 1) * $3 / $2, 1)], ARRAY[n * $3 / $2 - (n - 1) * $3 / $2]
FROM generate_series(1::bigint, $2::bigint) AS n
