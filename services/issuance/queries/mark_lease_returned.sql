-- Notes that quota has settled a sealed lease, so that nobody offers it again.
-- Relies on leases_are_sealed_before_they_return.
UPDATE leases SET returned_at = $3 WHERE lane = $1 AND lease_id = $2
