-- Relies on campaigns_id_is_unique: of two at the same time one waits for the other and then inserts nothing, tiers included. No row means that the id is taken.
-- A tier's areas and stores come as one text each, separated by spaces: no name holds one, and lists of different lengths do not fit into one array.
WITH campaign AS (
    INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at, display_name, description)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $14, $15)
    ON CONFLICT (campaign_id) DO NOTHING
    RETURNING campaign_number
), tier AS (
    INSERT INTO tiers (campaign_number, tier_number, tier_id, face_value_minor_units, minimum_spend_minor_units, areas, store_ids, initial_stock, stock, free, leased, settled)
    SELECT campaign_number, place - 1, tier_id, face_value_minor_units, minimum_spend_minor_units, string_to_array(areas, ' '), string_to_array(store_ids, ' '), stock, stock, stock, 0, 0
    FROM campaign
    CROSS JOIN unnest($8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[])
        WITH ORDINALITY AS asked (tier_id, face_value_minor_units, stock, minimum_spend_minor_units, areas, store_ids, place)
)
SELECT campaign_number FROM campaign
