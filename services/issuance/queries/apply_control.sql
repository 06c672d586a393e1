-- Puts what staff have said of a campaign's coupons into one lane; an older revision changes nothing.
-- Relies on campaign_controls_pkey, and on redemptions holding the row's lock until they have
-- committed: once this is committed, none commits that has not seen it.
-- Parameters: lane, campaign, revision, redemption control, end of the halt, extension.
INSERT INTO campaign_controls AS known (lane, campaign_number, revision, redemption_control, resume_at, extended_valid_until)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (lane, campaign_number) DO UPDATE
SET revision = excluded.revision, redemption_control = excluded.redemption_control, resume_at = excluded.resume_at, extended_valid_until = excluded.extended_valid_until
WHERE known.revision < excluded.revision
