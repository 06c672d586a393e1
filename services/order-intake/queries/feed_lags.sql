-- How many events each consumer has not acknowledged. Relies on there being few consumers, and one row a lane of each.
SELECT feed_cursors.consumer, sum(feed_heads.last_position - feed_cursors.position)::bigint AS events
FROM feed_cursors
JOIN feed_heads ON feed_heads.lane = feed_cursors.lane
GROUP BY feed_cursors.consumer
