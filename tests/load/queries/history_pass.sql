-- How far the audit of a campaign has come: the leases of the pass under way, and those of the last complete one. $1 the campaign's id.
SELECT
    coalesce(pass.pass_leases, 0) AS leases,
    coalesce(pass.complete_leases, 0) AS complete_leases,
    coalesce(greatest(pass.differences, pass.pass_differences, pass.complete_differences), 0) AS differences
FROM campaigns
LEFT JOIN audit_passes AS pass USING (campaign_number)
WHERE campaigns.campaign_id = $1
