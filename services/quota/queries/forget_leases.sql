-- Forgets archived leases of a retired campaign, $2 at most; tells how many that were. Relies on leases_by_campaign, and on the campaign granting none any more.
WITH over AS (
    SELECT lease_id
    FROM leases
    WHERE campaign_number = $1 AND archived_used IS NOT NULL
    ORDER BY campaign_number, lease_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM leases USING over WHERE leases.lease_id = over.lease_id
)
SELECT count(*) FROM over
