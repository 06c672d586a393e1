-- $1 shopper ids, $2 order ids, $3 whether told to be accepted, $4 whether it was asked to be cancelled, $5 whether told to be: as long as each other.
INSERT INTO told_orders (shopper_id, order_id, accepted, cancel_asked, cancelled)
SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::boolean[], $4::boolean[], $5::boolean[]);
