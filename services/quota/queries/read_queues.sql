-- One statement, so that a queue and what its campaign allows are seen at the same instant. A campaign that nobody has waited for has no queue, and a campaign that does not exist no row.
SELECT
    campaigns.campaign_number, campaigns.opens_at, campaigns.closes_at, campaigns.issuance_control, stock.free,
    stock.leased, queues.campaign_number IS NOT NULL AS has_queue, coalesce(queues.is_queueing, FALSE) AS is_queueing,
    coalesce(queues.clock_ms, 0) AS clock_ms, queues.moved_at, coalesce(queues.held_ms, 0) AS held_ms,
    coalesce(queues.watermark_cohort, 0) AS watermark_cohort, coalesce(queues.watermark_draw, 0) AS watermark_draw,
    coalesce(queues.promises_ended, 0) AS promises_ended, coalesce(queues.promises_kept, 0) AS promises_kept,
    coalesce(queues.recent_slowest_per_second, 0) AS recent_slowest_per_second,
    coalesce(queues.recent_fastest_per_second, 0) AS recent_fastest_per_second,
    coalesce(queues.recent_span_ms, 0) AS recent_span_ms,
    coalesce(queues.earlier_slowest_per_second, 0) AS earlier_slowest_per_second,
    coalesce(queues.earlier_fastest_per_second, 0) AS earlier_fastest_per_second,
    coalesce(queues.earlier_span_ms, 0) AS earlier_span_ms
FROM campaigns
LEFT JOIN queues USING (campaign_number)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(tiers.free), 0)::bigint AS free, coalesce(sum(tiers.leased), 0)::bigint AS leased
    FROM tiers
    WHERE tiers.campaign_number = campaigns.campaign_number
) AS stock
WHERE campaigns.campaign_number = ANY ($1)
ORDER BY campaigns.campaign_number
