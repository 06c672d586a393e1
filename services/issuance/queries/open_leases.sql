-- The leases of a lane that can be spent from, in the order in which they are sealed.
-- Relies on leases_unreturned.
SELECT lease_id, campaign_number, holder_id FROM leases
WHERE lane = $1 AND returned_at IS NULL AND NOT sealed
ORDER BY lease_id
