-- Lets those who make or change stores do so one after the other, until the end of the transaction.
-- The statement after this one sees what others have made, so no two make the same store. Nothing
-- else takes this lock.
SELECT pg_advisory_xact_lock('stores'::regclass::oid::bigint)
