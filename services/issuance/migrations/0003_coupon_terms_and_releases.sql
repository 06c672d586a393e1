-- What orders must be for the campaign's coupons, tier by tier; a tier's areas and its stores are one text each, separated by spaces. Empty in rows of the version before, whose tiers ask nothing.
ALTER TABLE campaigns
    ADD COLUMN tier_minimum_spends_minor_units bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN tier_areas text[] NOT NULL DEFAULT '{}',
    ADD COLUMN tier_store_ids text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT campaigns_terms_are_paired_with_tiers CHECK (cardinality(tier_minimum_spends_minor_units) IN (0, cardinality(tier_ids))),
    ADD CONSTRAINT campaigns_terms_are_paired CHECK (
        cardinality(tier_areas) = cardinality(tier_minimum_spends_minor_units) AND cardinality(tier_store_ids) = cardinality(tier_minimum_spends_minor_units)
    );

-- Orders that have given the coupon back, oldest first: none of them takes it again, however late its redemption arrives.
-- NOT VALID: every row there has an empty list, so there is nothing to scan the table for. New rows are checked all the same.
ALTER TABLE coupons
    ADD COLUMN released_order_ids uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT coupons_released_orders_are_bounded CHECK (cardinality(released_order_ids) <= 32) NOT VALID;
