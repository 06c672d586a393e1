-- Relies on the lock of lock_queues. $4 is the version before the first of these changes.
UPDATE queue_cohorts
SET due_second = $3, version = $4 + passed.place
FROM unnest($2::bigint[]) WITH ORDINALITY AS passed (cohort, place)
WHERE queue_cohorts.campaign_number = $1 AND queue_cohorts.cohort = passed.cohort
