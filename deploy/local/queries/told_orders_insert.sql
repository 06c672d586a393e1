-- $1 shopper ids, $2 order ids, $3 whether told to be accepted: as long as each other.
INSERT INTO told_orders (shopper_id, order_id, accepted)
SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::boolean[]);
