-- The last position of every lane. Relies on there being one row a lane, 1,024 at most.
SELECT lane, last_position AS position
FROM feed_heads
