-- no-transaction
-- What is to be archived, and what of the settled leases an audit has to add up itself. Built while leases are granted.
CREATE INDEX CONCURRENTLY IF NOT EXISTS leases_to_archive ON leases (settled_at, campaign_number, lease_id) WHERE settled_at IS NOT NULL AND archived_used IS NULL;
