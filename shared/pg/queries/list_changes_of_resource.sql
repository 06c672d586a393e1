-- Relies on changes_of_resource, which it reads backwards. $1 is the change before which the page begins.
SELECT change_id, changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields::text AS fields
FROM change_log.changes
WHERE resource_kind = $2
  AND resource_id = $6
  AND change_id < $1
  AND ($3 = '' OR subject = $3)
  AND changed_at >= $4
ORDER BY resource_kind DESC, resource_id DESC, change_id DESC
LIMIT $5
