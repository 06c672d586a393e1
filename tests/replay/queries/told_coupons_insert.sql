-- $1 shopper ids, $2 request ids, $3 campaign numbers, $4 slots: as long as each other.
INSERT INTO told_coupons (shopper_id, request_id, campaign_number, slot)
SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::smallint[]);
