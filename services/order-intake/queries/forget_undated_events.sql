-- Forgets events whose day had no table of its own when they were written, $2 at most. Relies on there being few of them.
DELETE FROM order_events_of_other_days
WHERE ctid = ANY (ARRAY(SELECT ctid FROM order_events_of_other_days WHERE happened_on < $1 LIMIT $2))
