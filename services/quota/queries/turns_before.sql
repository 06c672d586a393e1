-- Relies on queue_marks_pkey for the newest mark before a second of serving time. A campaign without one has no row.
SELECT wanted.campaign_number, newest.watermark_cohort, newest.watermark_draw
FROM unnest($1::integer[], $2::bigint[]) AS wanted (campaign_number, end_second)
CROSS JOIN LATERAL (
    SELECT watermark_cohort, watermark_draw
    FROM queue_marks
    WHERE queue_marks.campaign_number = wanted.campaign_number AND serving_second < wanted.end_second
    ORDER BY serving_second DESC
    LIMIT 1
) AS newest
