-- Moves a consumer on, in each lane and never back. Relies on feed_cursors_key, and on the lanes being in order, so that two calls lock rows in the same order.
INSERT INTO feed_cursors (consumer, lane, position)
SELECT $1, lane, position
FROM UNNEST($2::smallint[], $3::bigint[]) AS reached (lane, position)
ON CONFLICT ON CONSTRAINT feed_cursors_key DO UPDATE
SET position = greatest(feed_cursors.position, excluded.position)
