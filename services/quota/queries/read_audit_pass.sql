-- How far the audit of a campaign has come, and whether it grants no lease any more. Relies on audit_passes_pkey.
SELECT
    retired_at IS NOT NULL AS is_retired, pass_from, pass_began_at, coalesce(pass_leases, 0) AS pass_leases,
    coalesce(pass_differences, 0) AS pass_differences, coalesce(pass_settled_before, '{}') AS pass_settled_before,
    coalesce(pass_settled_used, '{}') AS pass_settled_used, coalesce(pass_coupons, '{}') AS pass_coupons,
    coalesce(pass_is_final, FALSE) AS pass_is_final, complete_at
FROM campaigns
LEFT JOIN audit_passes USING (campaign_number)
WHERE campaign_number = $1
