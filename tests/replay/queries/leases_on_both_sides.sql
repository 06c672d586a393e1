-- Whether issuance spent only what quota lent, and quota took back only what was not spent. $1 the campaign's number.
-- Relies on leases_of_quota having been filled in this session, before this statement: a lease granted since then has nothing spent when nobody claims.
SELECT
    count(*) FILTER (WHERE lent.lease_id IS NULL AND spent.used > 0) AS wrong_leases_that_quota_never_granted,
    count(*) FILTER (WHERE spent.granted > lent.granted) AS wrong_leases_larger_than_granted,
    count(*) FILTER (WHERE lent.used <> spent.used) AS wrong_leases_settled_with_another_use
FROM lease_counts AS spent
LEFT JOIN leases_of_quota AS lent USING (lease_id, tier_number)
WHERE spent.campaign_number = $1;
