-- Forgets archived leases of a retired campaign in one lane, $3 at most; tells how many that were.
-- Relies on leases_by_campaign, and on the retirement having been committed before: an installation that meets no row any more sees it. What is not archived yet stays until it is.
WITH over AS (
    SELECT lease_id
    FROM leases
    WHERE lane = $1 AND campaign_number = $2 AND archived_used IS NOT NULL
    ORDER BY lane, campaign_number, lease_id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM leases USING over WHERE leases.lane = $1 AND leases.lease_id = over.lease_id
)
SELECT count(*) FROM over
