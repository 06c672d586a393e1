-- How many lanes of lease holders have leases of a campaign that are not settled, beside one lane. Relies on the locks of lock_tiers: nobody else is lent any meanwhile.
--
-- Relies on leases_unsettled, which is as short as there are leases out; the sum keeps the planner from the index of all leases of the campaign.
SELECT count(DISTINCT (holder_id, lane)) AS count
FROM leases
WHERE campaign_number + 0 = $1 AND settled_at IS NULL AND (holder_id, lane) <> ($2, $3)
