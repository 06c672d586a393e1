-- Notes for those who remember stores that this transaction gives places back there. It holds their
-- rows. Any update counts. It is an upsert, since an UPDATE would be a join that the planner may turn
-- round.
INSERT INTO stores
SELECT known.*
FROM UNNEST($1::text[]) AS given_back (store_id)
JOIN LATERAL (
    SELECT stores.*
    FROM stores
    WHERE stores.store_id >= given_back.store_id AND stores.store_id <= given_back.store_id
    ORDER BY stores.store_id
    LIMIT 1
) AS known ON TRUE
ON CONFLICT ON CONSTRAINT stores_key DO UPDATE
SET version = excluded.version
