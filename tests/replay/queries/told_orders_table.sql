-- What callers were told, for joins within this session. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS told_orders;
CREATE TEMPORARY TABLE told_orders (
    shopper_id text NOT NULL,
    order_id uuid NOT NULL,
    accepted boolean NOT NULL,
    cancel_asked boolean NOT NULL,
    cancelled boolean NOT NULL
);
