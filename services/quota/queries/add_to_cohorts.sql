-- Relies on the lock of lock_queues, and on each cohort being named once, in order. $6 is the version before the first of these changes.
-- Tickets that are handed out when their cohort is wholly due are due from now on, so the cohort keeps that later moment.
INSERT INTO queue_cohorts AS known (campaign_number, cohort, joined_count, left_count, due_second, version)
SELECT $1, cohort, joined_count, left_count, due_second, $6 + place
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS news (cohort, joined_count, left_count, due_second, place)
ON CONFLICT (campaign_number, cohort) DO UPDATE
SET
    joined_count = known.joined_count + excluded.joined_count,
    left_count = known.left_count + excluded.left_count,
    due_second = CASE WHEN excluded.joined_count > 0 THEN coalesce(excluded.due_second, known.due_second) ELSE coalesce(known.due_second, excluded.due_second) END,
    version = excluded.version
