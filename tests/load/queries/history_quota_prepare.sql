-- Nothing is checked or indexed row by row while it is filled in.
SET synchronous_commit = off;
ALTER TABLE leases DROP CONSTRAINT leases_belong_to_a_campaign;
DROP INDEX leases_by_campaign;
