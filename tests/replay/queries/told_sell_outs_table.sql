-- What callers were told of the sell-out, for joins within this session. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS told_sell_outs;
CREATE TEMPORARY TABLE told_sell_outs (
    shopper_id text NOT NULL,
    request_id text NOT NULL,
    asked_at timestamptz NOT NULL
);
