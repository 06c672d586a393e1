-- Relies on queue_cohorts_by_version, and on every change having a version of its own: a page may end anywhere.
SELECT cohort, joined_count, left_count, due_second, version
FROM queue_cohorts
WHERE campaign_number = $1 AND version > $2
ORDER BY version
LIMIT $3
