-- Every campaign that coupons may belong to; read once at start, newest first.
SELECT campaign_number, campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, revision, tier_ids, tier_face_values_minor_units,
    tier_minimum_spends_minor_units, tier_areas, tier_store_ids, issuance_control, redemption_control, resume_at, extended_valid_until, tiers_since
FROM campaigns
ORDER BY campaign_number DESC
LIMIT $1
