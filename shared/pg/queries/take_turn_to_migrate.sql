-- Takes the lock of who migrates this database, if it is free. Relies on nothing else of this database
-- locking this number: it spells "tidegate" in ASCII.
SELECT pg_try_advisory_lock(x'7469646567617465'::bigint)
