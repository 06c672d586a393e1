-- What issuance has of each lease of a campaign. $1 the campaign's number.
SELECT lease_id, tier_number, granted, used
FROM leases
JOIN lease_tiers USING (lane, lease_id)
WHERE campaign_number = $1;
