-- A page of the stores of the area $5 by their ids, from after $1: those that are open if $2, and
-- those that are closed if $3; $4 at most. Relies on stores_of_state_and_area: rows are compared
-- whole with its beginning, so that it is read from the first to the last one asked for.
SELECT store_id, display_name, area, time_zone, weekly_hours, closed_days, slot_minutes, orders_per_slot, is_closed, closed_because
FROM (
    (
        SELECT open.*
        FROM stores AS open
        WHERE $2 AND NOT open.is_closed AND (open.area, open.store_id) > ($5, $1) AND open.area <= $5
        ORDER BY open.is_closed, open.area, open.store_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT closed.*
        FROM stores AS closed
        WHERE $3 AND closed.is_closed AND (closed.area, closed.store_id) > ($5, $1) AND closed.area <= $5
        ORDER BY closed.is_closed, closed.area, closed.store_id
        LIMIT $4
    )
) AS listed
ORDER BY store_id
LIMIT $4
