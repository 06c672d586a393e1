-- $1 lease ids, $2 tier numbers, $3 granted, $4 used: as long as each other.
INSERT INTO leases_of_quota (lease_id, tier_number, granted, used)
SELECT * FROM UNNEST($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[]);
