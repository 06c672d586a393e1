-- How far a consumer has acknowledged. Relies on feed_cursors_key for the probe.
SELECT lane, position
FROM feed_cursors
WHERE consumer = $1
