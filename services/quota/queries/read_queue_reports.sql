-- Relies on the lock of lock_queues, so that no report is taken in meanwhile, where a queue is to be moved; whoever only looks needs none. Whether one still counts is told by this database's clock alone, because those of replicas differ. A gateway's own ($2, none if it is null) is read however old it is.
SELECT
    gateway_id, report_number, reported_at, wanted_queue,
    reported_at > statement_timestamp() - $3::interval AS still_counts, can_take, served_per_second, able_per_second,
    at_door, watermark_cohort, watermark_draw, due_soon, cohorts, held, promised, promised_soon, promises_ended,
    promises_kept
FROM queue_reports
WHERE campaign_number = $1 AND (gateway_id = $2 OR reported_at > statement_timestamp() - $3::interval)
ORDER BY gateway_id
