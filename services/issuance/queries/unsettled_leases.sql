-- Leases of one lane, of whatever holder, that are not known to be settled, $3 at most: the sealed ones if $2, which quota sealed or which are being given back right now, and else those that can be spent
-- from. In the order in which leases are sealed.
-- Relies on leases_unreturned.
SELECT lease_id, campaign_number, holder_id FROM leases
WHERE lane = $1 AND returned_at IS NULL AND sealed = $2
ORDER BY lane, lease_id
LIMIT $3
