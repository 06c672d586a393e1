-- Relies on the locks of lock_tiers, on budget_additions_pkey against adding twice, and on tiers_stock_in_range against more than a tier can hold.
WITH addition AS (
    INSERT INTO budget_additions (campaign_number, request_id, tier_number, additional_stock, added_at)
    VALUES ($1, $2, $3, $4, $5)
)
UPDATE tiers SET stock = stock + $4, free = free + $4 WHERE campaign_number = $1 AND tier_number = $3
