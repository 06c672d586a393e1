-- Sealed leases of one lane, of whatever holder, that are not known to be settled: those that quota sealed, and those that are being given back right now. At most $2.
-- Relies on leases_unreturned.
SELECT lane, lease_id, campaign_number, holder_id FROM leases
WHERE lane = $1 AND returned_at IS NULL AND sealed
ORDER BY lane, lease_id
LIMIT $2
