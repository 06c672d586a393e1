-- A gateway that reported nothing for so long has ended. SKIP LOCKED, because another replica may forget the same ones in another order, and one that reports now is kept.
DELETE FROM queue_reporters
WHERE gateway_id IN (
    SELECT gateway_id FROM queue_reporters WHERE reported_at < $1 ORDER BY gateway_id LIMIT $2 FOR UPDATE SKIP LOCKED
)
