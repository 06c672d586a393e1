-- The keys of a lane's orders from after the order $2 and before the order id $3, oldest first, with what tells whether they are still needed. Relies on orders_order_id_is_unique, which is in the order of time.
SELECT order_id, coupon_code, created_at
FROM orders
WHERE lane = $1 AND order_id > $2 AND order_id < $3 AND state <> 1 AND NOT owes_coupon
ORDER BY order_id
LIMIT $4
