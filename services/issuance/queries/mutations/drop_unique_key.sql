-- Takes the key away that keeps a shopper's coupons apart, and leaves an index to find them by. For proving the checker only.
-- Relies on the table's lock, so that replicas that start together take turns.
ALTER TABLE coupons DROP CONSTRAINT IF EXISTS coupons_pkey;
CREATE INDEX IF NOT EXISTS coupons_without_key ON coupons (lane, shopper_id, campaign_number, slot)
