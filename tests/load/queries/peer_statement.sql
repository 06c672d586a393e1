-- For pgbench: the same in one statement, so that the hot row is locked for one round trip less each way and the commit.
\set shopper random(1, 1000000000000000000)
WITH spent AS (
    UPDATE peer.campaigns SET remaining = remaining - 1 WHERE campaign_number = 1 AND remaining > 0 RETURNING campaign_number
)
INSERT INTO peer.claims (shopper_id, campaign_number, request_id, issued_at) SELECT 'load-' || CAST(:shopper AS text), campaign_number, 'claim-1', now() FROM spent;
