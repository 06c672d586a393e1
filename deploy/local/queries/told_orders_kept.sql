-- Whether every order that a caller was told of is there, and accepted if that was told. Relies on told_orders having been filled in this session.
-- In orders.state 2 is ACCEPTED, as in tidegate.type.v1.OrderState.
WITH told AS (
    SELECT shopper_id, order_id, bool_or(accepted) AS accepted
    FROM told_orders
    GROUP BY shopper_id, order_id
)
SELECT
    count(*) AS orders_told,
    count(*) FILTER (WHERE kept.order_id IS NULL) AS wrong_orders_lost,
    count(*) FILTER (WHERE told.accepted AND kept.state <> 2) AS wrong_accepted_orders_taken_back
FROM told
LEFT JOIN orders AS kept USING (shopper_id, order_id);
