-- Orders that a consumer of the feed heard were accepted, for a join within this session. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS heard_orders;
CREATE TEMPORARY TABLE heard_orders (
    order_id uuid NOT NULL
);
