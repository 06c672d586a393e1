-- Relies on the lock of lock_queues. $2 is the first cohort that has to stay whatever became of it, $3 the second of serving time before which one must have become due to be forgotten, unless $5 says that the campaign is
-- over. At most $4 rows; what one call leaves is left to the next.
WITH kept AS (
    SELECT least(min(cohort), $2) AS oldest
    FROM queue_cohorts
    WHERE campaign_number = $1 AND NOT $5 AND (due_second IS NULL OR due_second >= $3)
), gone AS (
    DELETE FROM queue_cohorts
    USING kept
    WHERE campaign_number = $1 AND cohort IN (
        SELECT cohort FROM queue_cohorts WHERE campaign_number = $1 AND cohort < kept.oldest ORDER BY cohort LIMIT $4
    )
)
UPDATE queues
SET oldest_cohort = greatest(queues.oldest_cohort, kept.oldest)
FROM kept
WHERE queues.campaign_number = $1
