-- Takes the key away that keeps a shopper's coupons apart, and leaves an index to find them by.
ALTER TABLE coupons DROP CONSTRAINT coupons_pkey;
CREATE INDEX coupons_without_key ON coupons (lane, shopper_id, campaign_number, slot);
