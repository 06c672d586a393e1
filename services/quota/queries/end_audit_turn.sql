-- Gives the turn to audit up, so that another replica need not wait for its end.
DELETE FROM audit_turn WHERE auditor = $1
