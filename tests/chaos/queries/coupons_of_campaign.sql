-- Every coupon of a campaign. $1 the campaign's number.
SELECT shopper_id, request_id, slot, tier_number, lease_id, floor(extract(epoch FROM issued_at) * 1000)::bigint AS issued_at_ms, order_id
FROM coupons
WHERE campaign_number = $1;
