-- no-transaction
-- What is to be archived.
CREATE INDEX CONCURRENTLY IF NOT EXISTS leases_to_archive ON leases (lane, returned_at, lease_id) WHERE returned_at IS NOT NULL AND archived_used IS NULL;
