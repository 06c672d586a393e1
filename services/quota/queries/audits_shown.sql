-- What was audited last of the $1 campaigns that were made last, and of campaigns whose audit has found something, $1 at most of these as well. $2 tells which are current.
-- Relies on campaigns_pkey for the order.
WITH shown AS (
    (SELECT campaign_number FROM campaigns ORDER BY campaign_number DESC LIMIT $1)
    UNION
    (SELECT campaign_number FROM audit_passes WHERE differences + pass_differences + complete_differences > 0 ORDER BY campaign_number DESC LIMIT $1)
)
SELECT
    campaigns.campaign_id, campaigns.closes_at > $2 AS is_current,
    extract(epoch FROM clock_timestamp() - pass.audited_at)::double precision AS audited_seconds_ago,
    extract(epoch FROM clock_timestamp() - coalesce(pass.complete_at, campaigns.created_at))::double precision AS complete_seconds_ago,
    pass.leases_compared, pass.leases_left_out,
    greatest(pass.differences, pass.pass_differences, pass.complete_differences) AS differences
FROM shown
JOIN campaigns USING (campaign_number)
JOIN audit_passes AS pass USING (campaign_number)
ORDER BY campaigns.campaign_number DESC
