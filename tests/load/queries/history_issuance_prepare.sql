-- Nothing is indexed row by row while it is filled in.
SET synchronous_commit = off;
DROP INDEX leases_by_campaign;
ALTER TABLE coupons DROP CONSTRAINT coupons_pkey;
