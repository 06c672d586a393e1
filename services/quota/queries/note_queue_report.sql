-- Relies on queue_reporters_pkey: the same report through another replica waits here until this one is committed, and then finds its number taken. No row means that it was counted before.
INSERT INTO queue_reporters (gateway_id, report_number, reported_at)
VALUES ($1, $2, $3)
ON CONFLICT (gateway_id) DO UPDATE SET report_number = excluded.report_number, reported_at = excluded.reported_at
WHERE queue_reporters.report_number < excluded.report_number
RETURNING TRUE
