-- When campaigns end, as issuance says when their coupons are redeemed. An order's key is kept until its campaign is over, so that a late retry finds the order and never makes a second one.
CREATE TABLE campaign_ends (
    campaign_number integer NOT NULL,
    closes_at timestamptz NOT NULL,
    CONSTRAINT campaign_ends_key PRIMARY KEY (campaign_number)
);
