-- Relies on queue_cohorts_pkey for the order. The first cohorts that are not wholly due, and how many tickets there are in all of them.
SELECT cohort, joined_count, left_count, (sum(greatest(joined_count - left_count, 0)) OVER ())::bigint AS waiting
FROM queue_cohorts
WHERE campaign_number = $1 AND cohort >= $2
ORDER BY cohort
LIMIT $3
