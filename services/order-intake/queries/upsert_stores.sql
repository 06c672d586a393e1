-- Relies on stores_key, and on the list being sorted by it with each id once, so that two callers lock rows in the same order. A row that nobody has updated has no xmax: it is new.
INSERT INTO stores (store_id, display_name, area)
SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[])
ON CONFLICT (store_id) DO UPDATE SET display_name = excluded.display_name, area = excluded.area
RETURNING xmax = 0 AS is_new
