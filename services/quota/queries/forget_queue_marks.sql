-- A mark is needed until a later one is older than turns are kept ($1, in seconds of serving time), which the newest of its queue tells. SKIP LOCKED, because another replica may forget the same ones in another order.
DELETE FROM queue_marks
WHERE (campaign_number, serving_second) IN (
    SELECT campaign_number, serving_second
    FROM queue_marks AS mark
    WHERE EXISTS (
        SELECT
        FROM queue_marks AS later
        WHERE later.campaign_number = mark.campaign_number
            AND later.serving_second > mark.serving_second
            AND later.serving_second < (SELECT max(serving_second) FROM queue_marks WHERE campaign_number = mark.campaign_number) - $1
    )
    ORDER BY campaign_number, serving_second
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
