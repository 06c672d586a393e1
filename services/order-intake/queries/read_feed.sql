-- The events of some lanes after a position in each, lane by lane in the order of positions, $3 at most. What does not pass the filter comes without lines, so that the reader knows how far it has come.
-- Relies on order_events_key and order_details_key for the probes, in every day's table.
SELECT
    asked.lane, event.position, passes.yes AS passes,
    event.order_id, event.shopper_id, event.store_id, event.area, event.state, event.rejected_because, event.failure_note, event.slot_starts_at, event.slot_minutes, event.happened_at,
    -- A subquery for each event and not a join, for which the planner may read all details of a lane.
    CASE WHEN passes.yes THEN (
        SELECT order_details.lines::text
        FROM order_details
        WHERE order_details.placed_on = event.placed_on AND order_details.lane = asked.lane AND order_details.order_id = event.order_id
    ) END AS lines
FROM UNNEST($1::smallint[], $2::bigint[]) WITH ORDINALITY AS asked (lane, after, ordinal)
JOIN LATERAL (
    SELECT order_events.*
    FROM order_events
    WHERE order_events.lane = asked.lane AND order_events.position > asked.after
    ORDER BY order_events.position
    LIMIT $3
) AS event ON TRUE
CROSS JOIN LATERAL (SELECT ($4::text IS NULL OR event.store_id = $4) AND ($5::text IS NULL OR event.area = $5) AS yes) AS passes
ORDER BY asked.ordinal, event.position
LIMIT $3
