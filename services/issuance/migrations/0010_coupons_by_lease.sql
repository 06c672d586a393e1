-- no-transaction
-- Coupons of leases that were granted at about the same time lie together in the table: a summary of each few blocks is enough to find those of a range of leases, and costs a commit next to nothing.
CREATE INDEX CONCURRENTLY IF NOT EXISTS coupons_by_lease ON coupons USING brin (lease_id) WITH (pages_per_range = 16, autosummarize = on);
