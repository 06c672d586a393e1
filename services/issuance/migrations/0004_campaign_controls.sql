-- What staff have said of the coupons of a campaign, lane by lane, in the database that commits
-- redemptions. A redemption locks its campaign's row until it has committed, so a change that is
-- committed here is obeyed by every redemption that commits after it, whatever a replica has heard.
-- A row that is not there yet is made of what `campaigns` says by the first redemption that needs it.
CREATE TABLE campaign_controls (
    lane smallint NOT NULL,
    campaign_number integer NOT NULL,
    revision bigint NOT NULL CONSTRAINT campaign_controls_revision_is_not_negative CHECK (revision >= 0),
    redemption_control text NOT NULL
        CONSTRAINT campaign_controls_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    resume_at timestamptz,
    extended_valid_until timestamptz,
    CONSTRAINT campaign_controls_pkey PRIMARY KEY (lane, campaign_number)
);
