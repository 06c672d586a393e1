-- Every lease as quota granted it; `used` is null until it is settled. $1 the campaign's number.
SELECT lease_id, tier_number, granted, used
FROM lease_counts
WHERE campaign_number = $1;
