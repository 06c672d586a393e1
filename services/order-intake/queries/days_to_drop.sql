-- The statements that drop the tables of days before $1, the oldest first and $2 at most. Relies on a day's table being named by its parent and its date.
SELECT format('DROP TABLE IF EXISTS %I', child.relname)
FROM pg_inherits
JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
WHERE parent.oid IN ('order_details'::regclass, 'order_events'::regclass) AND child.relname ~ '_[0-9]{8}$' AND to_date(right(child.relname, 8), 'YYYYMMDD') < $1
ORDER BY right(child.relname, 8), child.relname
LIMIT $2
