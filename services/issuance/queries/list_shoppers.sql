-- A page of a lane's coupons after the key ($2, $3, $4), $6 of them at most: the keys of those of campaign $5, and the last key of the page in any case, because the next page goes on after it. No row: the lane is at its end.
-- Relies on coupons_pkey, read onwards from the key: a page costs the same however few of its coupons are of the campaign.
SELECT shopper_id, campaign_number, slot
FROM (
    SELECT shopper_id, campaign_number, slot, lead(slot) OVER (ORDER BY shopper_id, campaign_number, slot) IS NULL AS is_last
    FROM (
        SELECT shopper_id, campaign_number, slot
        FROM coupons
        WHERE lane = $1 AND (shopper_id, campaign_number, slot) > ($2, $3, $4)
        ORDER BY shopper_id, campaign_number, slot
        LIMIT $6
    ) AS page
) AS marked
WHERE campaign_number = $5 OR is_last
