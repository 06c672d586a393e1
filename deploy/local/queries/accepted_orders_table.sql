-- Order-intake's accepted orders, brought to issuance's database for one join.
DROP TABLE IF EXISTS accepted_orders;
CREATE TEMPORARY TABLE accepted_orders (
    order_id uuid NOT NULL,
    shopper_id text NOT NULL
);
