-- What is read of each campaign; the file that follows says of which.
-- Names every column: a prepared statement whose columns change with a migration fails for as long as its connection lives.
SELECT campaign_number, campaign_id, currency_code, limit_per_shopper, opens_at, closes_at,
    coupon_validity_seconds, display_name, description, ended_at, revision, tier_ids,
    face_values_minor_units, minimum_spends_minor_units, areas, store_ids, initial_stocks, free,
    leased, settled, issuance_control, redemption_control, control_reason, resume_at, control_epoch,
    extended_valid_until, redemption_revision, extension_revision, fenced_revision
FROM campaign_states
