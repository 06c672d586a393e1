-- The record of what staff change. Run before the migrations of a service, and by a superuser when
-- a database is made: then the superuser owns it, and the service's role can add to it and read it,
-- and cannot alter or remove what is there. Who owns a schema can drop what is in it, so it has a
-- schema of its own. Running it again changes nothing, but that a superuser takes it over: into a
-- new table, since one that the service's role made may have triggers, rules or indexes that would
-- run with the superuser's rights.
DO $$
DECLARE
    service name;
    takes_over boolean;
    is_there boolean;
    grantee text;
BEGIN
    -- The database's owner chooses its search path, and what is found by it must not be his.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    service := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
    is_there := to_regclass('change_log.changes') IS NOT NULL;
    takes_over := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND service <> current_user
        AND NOT EXISTS (
            SELECT FROM pg_class WHERE oid = to_regclass('change_log.changes') AND pg_get_userbyid(relowner) <> service
        );
    IF is_there AND NOT takes_over THEN
        RETURN;
    END IF;
    CREATE SCHEMA IF NOT EXISTS change_log;
    IF is_there THEN
        IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('change_log.changes')) <> 'r' THEN
            RAISE EXCEPTION 'change_log.changes is no table: look at who made it before a superuser takes it over';
        END IF;
        ALTER TABLE change_log.changes RENAME TO changes_of_service;
        ALTER TABLE change_log.changes_of_service RENAME CONSTRAINT changes_pkey TO changes_of_service_pkey;
        DROP INDEX IF EXISTS change_log.changes_of_resource, change_log.changes_by_subject;
    END IF;
    CREATE TABLE change_log.changes (
        change_id bigint GENERATED ALWAYS AS IDENTITY,
        changed_at timestamptz NOT NULL,
        action text NOT NULL,
        resource_kind text NOT NULL,
        resource_id text NOT NULL,
        subject text NOT NULL,
        certificate_identity text NOT NULL,
        reason text NOT NULL,
        fields jsonb NOT NULL,
        CONSTRAINT changes_pkey PRIMARY KEY (change_id)
    );
    CREATE INDEX changes_of_resource ON change_log.changes (resource_kind, resource_id, change_id);
    CREATE INDEX changes_by_subject ON change_log.changes (subject, change_id);
    IF is_there THEN
        INSERT INTO change_log.changes (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
        SELECT changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields
        FROM ONLY change_log.changes_of_service
        ORDER BY change_id;
        DROP TABLE change_log.changes_of_service;
    END IF;
    IF takes_over THEN
        EXECUTE format('ALTER SCHEMA change_log OWNER TO %I', current_user);
        FOR grantee IN
            SELECT DISTINCT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(granted.grantee)) END
            FROM pg_namespace, aclexplode(nspacl) AS granted
            WHERE nspname = 'change_log' AND granted.grantee <> nspowner
        LOOP
            EXECUTE format('REVOKE ALL ON SCHEMA change_log FROM %s', grantee);
        END LOOP;
        EXECUTE format('GRANT USAGE ON SCHEMA change_log TO %I', service);
        EXECUTE format('GRANT SELECT, INSERT ON change_log.changes TO %I', service);
    END IF;
END
$$
