-- $1 order ids, $2 shopper ids, $3 whether a coupon pays for it: as long as each other.
INSERT INTO paid_or_cancelled_orders (order_id, shopper_id, is_paid)
SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::boolean[]);
