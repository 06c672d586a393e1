-- The record of what staff change is made before the migrations. A program that adds to it waits for
-- this one, and so never meets a database that has no record yet.
DO $$
BEGIN
    IF to_regclass('change_log.changes') IS NULL THEN
        RAISE EXCEPTION 'there is no change_log.changes; migrate with a program that makes it';
    END IF;
END
$$;
