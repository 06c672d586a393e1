-- The timeline of the server, and the one on which this lane was committed to last.
-- Relies on the name of a file of the log beginning with its timeline, in hexadecimal. The control file would say it too late: a promoted standby writes it with its first checkpoint.
SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer,
    (SELECT timeline FROM lane_timelines WHERE lane = $1)
