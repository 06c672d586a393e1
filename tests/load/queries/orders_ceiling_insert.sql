-- Orders $1 to $2, in one commit.
WITH made AS MATERIALIZED (
    SELECT n, gen_random_uuid() AS order_id
    FROM generate_series($1::bigint, $2::bigint) AS n
),
ordered AS (
    INSERT INTO ceiling.orders (lane, shopper_id, request_id, order_id, store_id, state, coupon_code, content_hash, created_at)
    SELECT 0, 'diner-' || n, 'order-1', order_id, 'store-' || n % 500, 2, md5(n::text), sha256(int8send(n)), now()
    FROM made
),
detailed AS (
    INSERT INTO ceiling.order_details (order_id, lines)
    SELECT order_id, '[{"sku": "milk-tea", "quantity": 1, "unit_price": {"currency_code": "CNY", "minor_units": 2800}}]'::jsonb
    FROM made
)
INSERT INTO ceiling.order_events (lane, position, order_id, shopper_id, store_id, state, happened_at)
SELECT 0, 2 * n + state, order_id, 'diner-' || n, 'store-' || n % 500, state, now()
FROM made, generate_series(0, 1) AS state
