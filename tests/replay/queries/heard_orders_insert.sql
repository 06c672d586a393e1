-- $1 order ids.
INSERT INTO heard_orders (order_id)
SELECT * FROM UNNEST($1::uuid[]);
