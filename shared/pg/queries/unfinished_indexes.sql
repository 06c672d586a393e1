-- Indexes of this schema that a concurrent build has left unfinished, as they are to be named in a
-- statement. Those that a rebuild makes beside the old ones are whoever's who rebuilds.
SELECT format('%I', class.relname)
FROM pg_index
JOIN pg_class AS class ON class.oid = pg_index.indexrelid
WHERE NOT pg_index.indisvalid
    AND class.relkind = 'i'
    AND class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND class.relname !~ '_cc(new|old)[0-9]*$'
