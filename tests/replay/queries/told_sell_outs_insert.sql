-- $1 shopper ids, $2 request ids, $3 when each was asked: as long as each other.
INSERT INTO told_sell_outs (shopper_id, request_id, asked_at)
SELECT * FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]);
