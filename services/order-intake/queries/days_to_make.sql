-- The statements that make the tables of the days from $1 on, $2 of them, where they are missing. Relies on a day's table being named by its parent and its date.
SELECT format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', day_table, parent, day::date, day::date + 1)
FROM UNNEST(ARRAY['order_details', 'order_events']) AS parents (parent)
CROSS JOIN generate_series($1::date, $1::date + $2::integer - 1, interval '1 day') AS days (day)
CROSS JOIN LATERAL (SELECT parent || '_' || to_char(day, 'YYYYMMDD') AS day_table) AS named
WHERE to_regclass(day_table) IS NULL
ORDER BY parent, day
