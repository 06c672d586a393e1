-- Campaigns that closed before $1, of which nothing is on lease or yet to be archived, and all of whose leases were compared and found sound after nothing could change any more. At most $2, the oldest first.
-- Relies on campaigns_unretired, leases_unsettled and leases_to_archive; the number is written so that leases_by_campaign cannot be taken for them.
SELECT campaigns.campaign_number
FROM campaigns
JOIN audit_passes AS pass USING (campaign_number)
WHERE campaigns.closes_at < $1
    AND campaigns.retired_at IS NULL
    AND pass.complete_is_final
    AND pass.complete_differences = 0
    AND NOT EXISTS (SELECT FROM leases WHERE leases.campaign_number + 0 = campaigns.campaign_number AND leases.settled_at IS NULL)
    AND NOT EXISTS (
        SELECT FROM leases
        WHERE leases.campaign_number + 0 = campaigns.campaign_number AND leases.settled_at IS NOT NULL AND leases.archived_used IS NULL
    )
ORDER BY campaigns.closes_at
LIMIT $2
