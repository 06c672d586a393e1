-- What they add up to.
INSERT INTO archived_lease_sums (campaign_number, tier_number, leases, used) SELECT $1::integer, 0, $2::bigint, $3::bigint WHERE $4::bigint > 0
