-- Whether every order that was ever accepted reached the consumer of the feed. $1 what the shoppers' ids begin with. Relies on heard_orders having been filled in this session.
-- An order that a coupon has paid for has a discount, also once it is cancelled.
SELECT
    count(heard.order_id) AS accepted_orders_heard,
    count(*) FILTER (WHERE heard.order_id IS NULL) AS wrong_accepted_orders_that_fulfilment_never_heard_of
FROM orders
LEFT JOIN heard_orders AS heard USING (order_id)
WHERE starts_with(orders.shopper_id, $1) AND orders.discount_minor_units IS NOT NULL;
