-- Seals leases of one lane, the first of two statements of one transaction; `seal_lease_tiers.sql` is the second. A lease that was never installed leaves a tombstone, and its installation then conflicts.
-- Relies on leases_pkey: the upsert waits for an installation under way and then seals what it wrote, or comes first and makes the installation find its row. The row stays locked until the transaction
-- ends, so no installation can come between the two statements. Sorted by lease, so that two seals lock in the same order.
-- Parameters: lane, leases, campaigns, holders.
INSERT INTO leases AS lease (lane, lease_id, campaign_number, holder_id, sealed)
SELECT $1, item.lease_id, item.campaign_number, item.holder_id, TRUE
FROM unnest($2::uuid[], $3::integer[], $4::text[]) AS item (lease_id, campaign_number, holder_id)
ORDER BY item.lease_id
ON CONFLICT (lane, lease_id) DO UPDATE SET sealed = TRUE
WHERE NOT lease.sealed
