-- Relies on the lock of lock_queues, and on the caller having read the queue under it. $16 is the second of serving time; of several marks of one second the last stays, which is the furthest.
WITH saved AS (
    UPDATE queues
    SET
        is_queueing = $2, clock_ms = $3, moved_at = $4, held_ms = $5, watermark_cohort = $6, watermark_draw = $7,
        promises_ended = $8, promises_kept = $9, recent_slowest_per_second = $10, recent_fastest_per_second = $11,
        recent_span_ms = $12, earlier_slowest_per_second = $13, earlier_fastest_per_second = $14, earlier_span_ms = $15
    WHERE campaign_number = $1
    RETURNING campaign_number, watermark_cohort, watermark_draw
)
INSERT INTO queue_marks (campaign_number, serving_second, watermark_cohort, watermark_draw)
SELECT campaign_number, $16, watermark_cohort, watermark_draw FROM saved
ON CONFLICT (campaign_number, serving_second) DO UPDATE
SET watermark_cohort = excluded.watermark_cohort, watermark_draw = excluded.watermark_draw
