-- Relies on campaigns_id_is_unique: of two at the same time one waits for the other and then inserts nothing. No row means that the id is taken.
INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at, display_name, description)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (campaign_id) DO NOTHING
RETURNING campaign_number
