-- Leases that this replica held when it stopped, and sealed ones of any replica that quota has not settled; settling is idempotent, so several replicas may offer the same.
-- Runs once at start; leases are few, so it may read them all.
SELECT lane, lease_id FROM leases
WHERE returned_at IS NULL AND (holder_id = $1 OR sealed)
ORDER BY lane, lease_id
LIMIT $2
