-- What callers were told, for joins within this session. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS told_coupons;
CREATE TEMPORARY TABLE told_coupons (
    shopper_id text NOT NULL,
    request_id text NOT NULL,
    campaign_number bigint NOT NULL,
    slot smallint NOT NULL
);
