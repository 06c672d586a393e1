-- Whether the feed has every change of every order, in an order in which it can happen, and no lane of it a gap. $1 what the shoppers' ids begin with.
-- The states are those of tidegate.type.v1.OrderState. The oldest positions of a lane may be forgotten; the last one is what the lane's head says.
WITH told AS (
    SELECT order_id, array_agg(state::integer ORDER BY position) AS states
    FROM order_events
    WHERE starts_with(shopper_id, $1)
    GROUP BY order_id
), ways (state, states) AS (
    VALUES (1, '{1}'::integer[]), (2, '{1,2}'), (3, '{1,3}'), (4, '{1,2,4}'), (5, '{1,2,4,5}'), (6, '{1,2,4,5,6}'), (7, '{1,7}'), (7, '{1,2,7}'),
        (8, '{1,2,8}'), (8, '{1,2,4,8}'), (8, '{1,2,4,5,8}')
), lanes AS (
    SELECT lane, count(*) AS events, min(position) AS first_position, max(position) AS last_position
    FROM order_events
    GROUP BY lane
)
SELECT
    (SELECT coalesce(sum(cardinality(states)), 0)::bigint FROM told) AS changes_in_the_feed,
    (
        SELECT count(*)
        FROM orders
        LEFT JOIN told USING (order_id)
        WHERE starts_with(orders.shopper_id, $1)
            AND NOT EXISTS (SELECT FROM ways WHERE ways.state = orders.state AND ways.states = told.states)
    ) AS wrong_orders_whose_changes_the_feed_does_not_tell,
    (SELECT count(*) FROM told WHERE NOT EXISTS (SELECT FROM orders WHERE orders.order_id = told.order_id)) AS wrong_orders_that_only_the_feed_knows,
    (
        SELECT count(*)
        FROM lanes
        LEFT JOIN feed_heads AS head USING (lane)
        WHERE events <> lanes.last_position - first_position + 1 OR lanes.last_position IS DISTINCT FROM head.last_position
    ) AS wrong_lanes_with_gaps;
