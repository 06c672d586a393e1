-- A gateway that reported nothing for so long, by the clock that its reports are stamped by, has ended. SKIP LOCKED, because another replica may forget the same ones in another order, and one that reports now is kept.
DELETE FROM queue_reports
WHERE (campaign_number, gateway_id) IN (
    SELECT campaign_number, gateway_id
    FROM queue_reports
    WHERE reported_at < statement_timestamp() - $1::interval
    ORDER BY campaign_number, gateway_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
