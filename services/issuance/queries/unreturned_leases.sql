-- Leases that earlier lives of this replica held when they ended, and sealed ones of any replica that quota has not settled; settling is idempotent, so several replicas may offer the same.
-- Relies on a holder's id being its replica's name, `/` and the name of its life; $1 is the holder that is starting now and has no lease yet.
-- Relies on leases_unreturned: only leases that are not returned are read, which are few however many there have been.
SELECT lane, lease_id, campaign_number, holder_id FROM leases
WHERE returned_at IS NULL AND (split_part(holder_id, '/', 1) = split_part($1, '/', 1) OR sealed)
ORDER BY lane, lease_id
LIMIT $2
