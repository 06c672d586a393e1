-- Relies on changes_by_subject, which it reads backwards. $1 is the change before which the page begins, $6 the one at which it ends.
SELECT change_id, changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields::text AS fields
FROM change_log.changes
WHERE subject = $3
  AND change_id < $1
  AND change_id >= $6
  AND ($2 = '' OR resource_kind = $2)
  AND changed_at >= $4
ORDER BY subject DESC, change_id DESC
LIMIT $5
