-- Forgets details whose day had no table of its own when they were written, $2 at most. Relies on there being few of them.
DELETE FROM order_details_of_other_days
WHERE ctid = ANY (ARRAY(SELECT ctid FROM order_details_of_other_days WHERE placed_on < $1 LIMIT $2))
