-- Commits that do not wait for the disk stay in memory as long as PostgreSQL allows, and one that waits brings them along.
ALTER SYSTEM SET wal_writer_delay = '10s';
ALTER SYSTEM SET wal_writer_flush_after = '1GB';
SELECT pg_reload_conf();
