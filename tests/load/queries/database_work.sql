-- What a database has done since its start: transactions committed, rows written, rows of tables read.
SELECT
    replace(datname, 'tidegate_', '') AS name,
    xact_commit AS commits,
    tup_inserted + tup_updated + tup_deleted AS rows_written
FROM pg_stat_database
WHERE datname LIKE 'tidegate_%'
