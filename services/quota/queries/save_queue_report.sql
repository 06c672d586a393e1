-- Relies on the lock of lock_queues, and on the caller having seen under it that the report is newer than the one that it replaces.
INSERT INTO queue_reports (
    campaign_number, gateway_id, report_number, reported_at, can_take, served_per_second, able_per_second, at_door,
    watermark_cohort, watermark_draw, due_soon, cohorts, held, promised, promised_soon, promises_ended, promises_kept, wanted_queue
)
VALUES ($1, $2, $3, statement_timestamp(), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (campaign_number, gateway_id) DO UPDATE
SET
    report_number = excluded.report_number, reported_at = excluded.reported_at, can_take = excluded.can_take,
    served_per_second = excluded.served_per_second, able_per_second = excluded.able_per_second,
    at_door = excluded.at_door, watermark_cohort = excluded.watermark_cohort, watermark_draw = excluded.watermark_draw,
    due_soon = excluded.due_soon, cohorts = excluded.cohorts, held = excluded.held, promised = excluded.promised,
    promised_soon = excluded.promised_soon, promises_ended = excluded.promises_ended,
    promises_kept = excluded.promises_kept, wanted_queue = excluded.wanted_queue
