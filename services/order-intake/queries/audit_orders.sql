-- A page of a lane's orders before $2, $3 at most, the newest first: how many there are, the last of them, and how many of them a coupon pays for that pays for another order as well.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY and 6 COMPLETED, as in tidegate.type.v1.OrderState: these are paid for.
-- Relies on orders_order_id_is_unique for the page, and on orders_key for the other orders of the same shopper: a coupon is of one shopper. It does not rely on what is to be checked.
WITH page AS MATERIALIZED (
    SELECT shopper_id, order_id, coupon_code, state
    FROM orders
    WHERE lane = $1 AND order_id < $2
    ORDER BY lane DESC, order_id DESC
    LIMIT $3
)
SELECT
    count(*) AS orders,
    (SELECT order_id FROM page ORDER BY order_id LIMIT 1) AS last_order_id,
    count(*) FILTER (
        WHERE page.state IN (2, 4, 5, 6)
            AND EXISTS (
                SELECT FROM orders AS other
                WHERE other.lane = $1
                    AND other.shopper_id = page.shopper_id
                    AND other.coupon_code = page.coupon_code
                    AND other.order_id <> page.order_id
                    AND other.state IN (2, 4, 5, 6)
            )
    ) AS paid_twice
FROM page
