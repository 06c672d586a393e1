-- What staff have said of a campaign, kept so that it holds while quota is away and after a restart.
ALTER TABLE campaigns
    ADD COLUMN issuance_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_issuance_control_is_known CHECK (issuance_control IN ('OPEN', 'QUEUE_ONLY', 'HALTED')),
    ADD COLUMN redemption_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    ADD COLUMN resume_at timestamptz,
    ADD COLUMN extended_valid_until timestamptz;

-- A lease that was sealed before it arrived leaves its row, so that it cannot be installed later; it has no moment of installation and no tiers.
ALTER TABLE leases
    ALTER COLUMN installed_at DROP NOT NULL,
    ADD CONSTRAINT leases_that_never_arrived_are_sealed CHECK (sealed OR installed_at IS NOT NULL);

-- NOT VALID: no row there already has a reason, so there is nothing to scan the table for. New rows are checked all the same.
ALTER TABLE coupons
    ADD COLUMN revoked_reason text,
    ADD CONSTRAINT coupons_with_a_reason_are_revoked CHECK (revoked_reason IS NULL OR revoked_at IS NOT NULL) NOT VALID;
