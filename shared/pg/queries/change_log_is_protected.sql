-- Whether this role can only add to the record of what staff change.
SELECT NOT (
    has_table_privilege('change_log.changes', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    OR has_any_column_privilege('change_log.changes', 'UPDATE')
    OR has_schema_privilege('change_log', 'CREATE')
    OR pg_has_role(relowner, 'USAGE')
)
FROM pg_class
WHERE oid = 'change_log.changes'::regclass
