-- Relies on the reports and marks of a queue going with it. SKIP LOCKED, because a report may hold or await the lock of several queues, and another replica may forget the same ones: none waits in a circle.
DELETE FROM queues
WHERE campaign_number IN (
    SELECT campaign_number
    FROM queues
    JOIN campaigns USING (campaign_number)
    WHERE campaigns.closes_at < $1
    ORDER BY campaign_number
    LIMIT $2
    FOR UPDATE OF queues SKIP LOCKED
)
