-- What issuance has of each lease of a campaign. $1 the campaign's number.
SELECT lease_id, tier_number, granted, used
FROM lease_counts
WHERE campaign_number = $1;
