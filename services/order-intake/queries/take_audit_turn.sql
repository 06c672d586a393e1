-- Takes the turn to audit, or keeps it, until $2 milliseconds from now; no row if another auditor has it.
-- Relies on audit_turn_is_one_row, and on one clock, the database's: an auditor that is killed or held still loses the turn by its end, and one that goes on then only reads twice what another reads.
INSERT INTO audit_turn AS turn (is_turn, auditor, ends_at)
VALUES (TRUE, $1, clock_timestamp() + $2 * interval '1 millisecond')
ON CONFLICT (is_turn) DO UPDATE SET auditor = excluded.auditor, ends_at = excluded.ends_at
WHERE turn.auditor = excluded.auditor OR turn.ends_at < clock_timestamp()
RETURNING TRUE
