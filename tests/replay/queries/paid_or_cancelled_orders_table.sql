-- Order-intake's orders that have paid or are cancelled, brought to issuance's database for one join.
DROP TABLE IF EXISTS paid_or_cancelled_orders;
CREATE TEMPORARY TABLE paid_or_cancelled_orders (
    order_id uuid NOT NULL,
    shopper_id text NOT NULL,
    is_paid boolean NOT NULL
);
