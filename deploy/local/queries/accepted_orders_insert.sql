-- $1 order ids, $2 shopper ids: as long as each other.
INSERT INTO accepted_orders (order_id, shopper_id)
SELECT * FROM UNNEST($1::uuid[], $2::text[]);
