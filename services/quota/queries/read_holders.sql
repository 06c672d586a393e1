-- Relies on leases_unsettled. One statement, so that a lease and its lease holder are seen at the same instant. A lease holder that never gave a sign of life has no row and reads as 0 beats.
-- Those that hold something come first, so that the bound never hides one of them behind lives that are long over.
SELECT holder_id, coalesce(holders.beats, 0) AS beats, coalesce(holding.is_holding, FALSE) AS is_holding
FROM (SELECT DISTINCT holder_id, TRUE AS is_holding FROM leases WHERE settled_at IS NULL) AS holding
FULL JOIN holders USING (holder_id)
ORDER BY is_holding DESC, holder_id
LIMIT $1
