-- For pgbench: as most programs would write it.
\set shopper random(1, 1000000000000000000)
BEGIN;
UPDATE peer.campaigns SET remaining = remaining - 1 WHERE campaign_number = 1 AND remaining > 0;
INSERT INTO peer.claims (shopper_id, campaign_number, request_id, issued_at) VALUES ('load-' || CAST(:shopper AS text), 1, 'claim-1', now());
COMMIT;
