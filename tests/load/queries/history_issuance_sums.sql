-- What they add up to, lane by lane.
INSERT INTO archived_lease_sums (lane, campaign_number, tier_number, used)
SELECT (n % $4)::smallint, $1::integer, 0, sum(n * $3 / $2 - (n - 1) * $3 / $2)
FROM generate_series(1::bigint, $2::bigint) AS n
GROUP BY n % $4
