-- The campaigns that run or ended after $1, and those that ended earlier whose coupons can be used
-- after it, the latest first and $3 at most by their own validity and as many by an extension.
-- Relies on campaigns_by_end and campaigns_by_extension, on no coupon being valid for longer than the
-- time between $2 and $1 without an extension, and on CreateCampaign to bound how many run. One
-- statement, so every campaign is seen at the same instant.
WHERE campaign_number IN (
    SELECT campaign_number FROM campaigns WHERE closes_at > $1
    UNION ALL
    (
        SELECT campaign_number FROM campaigns
        WHERE closes_at > $2 AND closes_at <= $1 AND closes_at + coupon_validity_seconds * interval '1 second' > $1
        ORDER BY closes_at DESC
        LIMIT $3
    )
    UNION ALL
    (
        SELECT campaign_number FROM campaigns
        WHERE extended_valid_until > $1
        ORDER BY extended_valid_until DESC
        LIMIT $3
    )
)
