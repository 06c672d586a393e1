-- Where the stock is after them.
UPDATE tiers SET free = free - $3::bigint, settled = settled + $3::bigint WHERE campaign_number = $1::integer AND tier_number = 0 AND $2::bigint > 0 AND $4::bigint > 0
