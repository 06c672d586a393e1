-- Whether every order that a caller was told of is there, made if that was told and nobody gave it up, and cancelled if that was told. Relies on told_orders having been filled in this session.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY, 6 COMPLETED, 7 CANCELLED and 8 FAILED,
-- which is the store's own doing, as in tidegate.type.v1.OrderState.
WITH told AS (
    SELECT shopper_id, order_id, bool_or(accepted) AS accepted, bool_or(cancel_asked) AS cancel_asked, bool_or(cancelled) AS cancelled
    FROM told_orders
    GROUP BY shopper_id, order_id
)
SELECT
    count(*) AS orders_told,
    count(*) FILTER (WHERE kept.order_id IS NULL) AS wrong_orders_lost,
    count(*) FILTER (WHERE told.accepted AND kept.state NOT IN (2, 4, 5, 6, 8) AND NOT (kept.state = 7 AND told.cancel_asked)) AS wrong_accepted_orders_taken_back,
    count(*) FILTER (WHERE told.cancelled AND kept.state <> 7) AS wrong_cancelled_orders_made_all_the_same
FROM told
LEFT JOIN orders AS kept USING (shopper_id, order_id);
