-- Keeps what quota said of a campaign; an older revision never replaces a newer one.
-- Relies on campaigns_pkey, whose row tells whether the tiers were others before: it can tell only of the revision right before, because one that was skipped may have had others.
INSERT INTO campaigns AS known
    (campaign_number, campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, revision, tier_ids, tier_face_values_minor_units,
    tier_minimum_spends_minor_units, tier_areas, tier_store_ids, issuance_control, redemption_control, resume_at, extended_valid_until, tiers_since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $8)
ON CONFLICT (campaign_number) DO UPDATE
SET limit_per_shopper = excluded.limit_per_shopper, opens_at = excluded.opens_at, closes_at = excluded.closes_at,
    coupon_validity_seconds = excluded.coupon_validity_seconds, revision = excluded.revision,
    tier_ids = excluded.tier_ids, tier_face_values_minor_units = excluded.tier_face_values_minor_units,
    tier_minimum_spends_minor_units = excluded.tier_minimum_spends_minor_units, tier_areas = excluded.tier_areas, tier_store_ids = excluded.tier_store_ids,
    tiers_since = CASE WHEN known.revision + 1 = excluded.revision AND known.tier_ids = excluded.tier_ids THEN known.tiers_since ELSE excluded.revision END,
    issuance_control = excluded.issuance_control, redemption_control = excluded.redemption_control, resume_at = excluded.resume_at, extended_valid_until = excluded.extended_valid_until
WHERE known.revision < excluded.revision
