-- A page of the stores by their ids, from after $1: those that are open if $2, and those that are
-- closed if $3; $4 at most. Relies on stores_of_state: rows are
-- compared whole with its beginning, so that it is read from the first to the last one asked for.
SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
FROM (
    (
        SELECT open.*
        FROM stores AS open
        WHERE $2 AND (open.is_closed, open.store_id) > (FALSE, $1) AND open.is_closed <= FALSE
        ORDER BY open.is_closed, open.store_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT closed.*
        FROM stores AS closed
        WHERE $3 AND (closed.is_closed, closed.store_id) > (TRUE, $1) AND closed.is_closed <= TRUE
        ORDER BY closed.is_closed, closed.store_id
        LIMIT $4
    )
) AS listed
ORDER BY store_id
LIMIT $4
