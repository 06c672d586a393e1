-- A page of a lane's orders before $2, $3 at most, the newest first: each with its coupon, and with what must be true of it.
-- In orders.state 2 is ACCEPTED, 4 IN_PREPARATION, 5 READY and 6 COMPLETED, as in tidegate.type.v1.OrderState: these are paid for. 3 is REJECTED, 7 CANCELLED and 8 FAILED: these gave their coupon back unless they still owe it.
-- Relies on orders_order_id_is_unique for the page, and on orders_key for the other orders of the same shopper: a coupon is of one shopper. It does not rely on what is to be checked.
WITH page AS MATERIALIZED (
    SELECT shopper_id, order_id, coupon_code, state, owes_coupon
    FROM orders
    WHERE lane = $1 AND order_id < $2
    ORDER BY lane DESC, order_id DESC
    LIMIT $3
)
SELECT
    page.order_id,
    page.shopper_id,
    page.coupon_code,
    CASE
        WHEN page.state IN (2, 4, 5, 6) THEN TRUE
        WHEN page.state IN (3, 7, 8) AND NOT page.owes_coupon THEN FALSE
    END AS is_paid,
    page.state IN (2, 4, 5, 6)
    AND EXISTS (
        SELECT FROM orders AS other
        WHERE other.lane = $1
            AND other.shopper_id = page.shopper_id
            AND other.coupon_code = page.coupon_code
            AND other.order_id <> page.order_id
            AND other.state IN (2, 4, 5, 6)
    ) AS is_paid_twice
FROM page
ORDER BY page.order_id DESC
