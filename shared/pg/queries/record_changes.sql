-- Relies on the transaction in which the changes are made: both are there, or neither.
INSERT INTO change_log.changes (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
SELECT changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields::jsonb
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS made (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
