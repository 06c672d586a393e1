-- The naive giveaway, made as fast as it can be: the hot row has a page to itself, so that its versions stay out of the index and are pruned in place.
DROP SCHEMA IF EXISTS peer CASCADE;
CREATE SCHEMA peer;
CREATE TABLE peer.campaigns (
    campaign_number integer NOT NULL CONSTRAINT campaigns_pkey PRIMARY KEY,
    remaining bigint NOT NULL CONSTRAINT campaigns_never_oversold CHECK (remaining >= 0)
) WITH (fillfactor = 10);
CREATE TABLE peer.claims (
    shopper_id text NOT NULL,
    campaign_number integer NOT NULL,
    request_id text NOT NULL,
    issued_at timestamptz NOT NULL,
    CONSTRAINT claims_pkey PRIMARY KEY (shopper_id, campaign_number)
);
INSERT INTO peer.campaigns VALUES (1, 1000000000);
