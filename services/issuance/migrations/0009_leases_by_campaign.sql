-- no-transaction
-- An audit reads a campaign's leases range by range, and forgetting does so as well.
CREATE INDEX CONCURRENTLY IF NOT EXISTS leases_by_campaign ON leases (lane, campaign_number, lease_id);
