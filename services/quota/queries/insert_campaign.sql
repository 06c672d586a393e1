-- Relies on campaigns_id_is_unique: of two at the same time one waits for the other and then inserts nothing, tiers included. No row means that the id is taken.
WITH campaign AS (
    INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (campaign_id) DO NOTHING
    RETURNING campaign_number
), tier AS (
    INSERT INTO tiers (campaign_number, tier_number, tier_id, face_value_minor_units, initial_stock, stock, free, leased, settled)
    SELECT campaign_number, place - 1, tier_id, face_value_minor_units, stock, stock, stock, 0, 0
    FROM campaign
    CROSS JOIN unnest($8::text[], $9::bigint[], $10::bigint[]) WITH ORDINALITY AS asked (tier_id, face_value_minor_units, stock, place)
)
SELECT campaign_number FROM campaign
