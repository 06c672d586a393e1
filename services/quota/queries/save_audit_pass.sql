-- Keeps how far the audit of a campaign has come, unless another auditor ($2) has the turn by now.
-- Relies on audit_passes_pkey, and on audit_turn being one row.
INSERT INTO audit_passes AS known (campaign_number, audited_at, leases_compared, leases_left_out, differences,
    pass_from, pass_began_at, pass_leases, pass_differences, pass_settled_before, pass_settled_used, pass_coupons, pass_is_final,
    complete_at, complete_leases, complete_differences, complete_is_final)
SELECT $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
FROM audit_turn
WHERE auditor = $2
ON CONFLICT (campaign_number) DO UPDATE
SET audited_at = excluded.audited_at, leases_compared = excluded.leases_compared, leases_left_out = excluded.leases_left_out, differences = excluded.differences,
    pass_from = excluded.pass_from, pass_began_at = excluded.pass_began_at, pass_leases = excluded.pass_leases, pass_differences = excluded.pass_differences,
    pass_settled_before = excluded.pass_settled_before, pass_settled_used = excluded.pass_settled_used, pass_coupons = excluded.pass_coupons, pass_is_final = excluded.pass_is_final,
    complete_at = coalesce(excluded.complete_at, known.complete_at),
    complete_leases = CASE WHEN excluded.complete_at IS NULL THEN known.complete_leases ELSE excluded.complete_leases END,
    complete_differences = CASE WHEN excluded.complete_at IS NULL THEN known.complete_differences ELSE excluded.complete_differences END,
    complete_is_final = CASE WHEN excluded.complete_at IS NULL THEN known.complete_is_final ELSE excluded.complete_is_final END
