-- no-transaction
-- What a start looks for: few, however many leases there have been. Built while leases are installed, as the next three are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS leases_unreturned ON leases (lane, lease_id) WHERE returned_at IS NULL;
