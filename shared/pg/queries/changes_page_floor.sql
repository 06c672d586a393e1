-- Relies on changes_pkey. The change at which a page ends that found too little: $2 changes before the one where it began.
SELECT change_id
FROM change_log.changes
WHERE change_id < $1
ORDER BY change_id DESC
OFFSET $2
LIMIT 1
