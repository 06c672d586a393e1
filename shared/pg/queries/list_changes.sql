-- Relies on changes_pkey, which it reads backwards. $1 is the change before which the page begins, $5 the one at which it ends.
SELECT change_id, changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields::text AS fields
FROM change_log.changes
WHERE change_id < $1
  AND change_id >= $5
  AND ($2 = '' OR resource_kind = $2)
  AND changed_at >= $3
ORDER BY change_id DESC
LIMIT $4
