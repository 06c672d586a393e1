-- Quota's leases, brought to issuance's database for one join. Dropped first, since one session may audit twice.
DROP TABLE IF EXISTS leases_of_quota;
CREATE TEMPORARY TABLE leases_of_quota (
    lease_id uuid NOT NULL,
    tier_number smallint NOT NULL,
    granted bigint NOT NULL,
    used bigint
);
