-- Relies on beats growing with each sign of life: a lease holder that came back since it was read is kept, and so is one that holds something again. SKIP LOCKED, because another replica may forget the same
-- ones in another order.
WITH over AS (
    SELECT holders.holder_id
    FROM holders
    JOIN unnest($1::text[], $2::bigint[]) AS silent (holder_id, beats) USING (holder_id, beats)
    WHERE NOT EXISTS (SELECT FROM leases WHERE leases.holder_id = holders.holder_id AND leases.settled_at IS NULL)
    FOR UPDATE OF holders SKIP LOCKED
)
DELETE FROM holders USING over WHERE holders.holder_id = over.holder_id
