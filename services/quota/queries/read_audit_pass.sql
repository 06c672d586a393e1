-- How far the audit of a campaign has come. Relies on audit_passes_pkey; no row if it was never audited.
SELECT pass_from, pass_began_at, pass_leases, pass_differences, pass_settled_before, pass_settled_used, pass_coupons, pass_is_final, complete_at
FROM audit_passes
WHERE campaign_number = $1
