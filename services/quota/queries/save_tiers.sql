-- The tiers of a campaign that this transaction has made, or its other tiers. For the latter relies on the locks of lock_tiers, on the caller having seen that nothing of the campaign was ever lent or added, and on drop_later_tiers having left the first tier alone: no id meets another by tiers_id_is_unique.
-- A tier's areas and stores come as one text each, separated by spaces: no name holds one, and lists of different lengths do not fit into one array.
WITH asked AS (
    SELECT (place - 1)::smallint AS tier_number, tier_id, face_value_minor_units, stock, minimum_spend_minor_units,
        string_to_array(areas, ' ') AS areas, string_to_array(store_ids, ' ') AS store_ids
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
        WITH ORDINALITY AS asked (tier_id, face_value_minor_units, stock, minimum_spend_minor_units, areas, store_ids, place)
)
INSERT INTO tiers (campaign_number, tier_number, tier_id, face_value_minor_units, minimum_spend_minor_units, areas, store_ids, initial_stock, stock, free, leased, settled)
SELECT $1, tier_number, tier_id, face_value_minor_units, minimum_spend_minor_units, areas, store_ids, stock, stock, stock, 0, 0
FROM asked
ORDER BY tier_number
ON CONFLICT (campaign_number, tier_number) DO UPDATE
SET tier_id = excluded.tier_id, face_value_minor_units = excluded.face_value_minor_units,
    minimum_spend_minor_units = excluded.minimum_spend_minor_units, areas = excluded.areas, store_ids = excluded.store_ids,
    initial_stock = excluded.initial_stock, stock = excluded.stock, free = excluded.free
