-- How far the audit of a campaign has come. A pass goes over all leases, newest first, in slices.
CREATE TABLE audit_passes (
    campaign_number integer NOT NULL CONSTRAINT audit_passes_pkey PRIMARY KEY
        CONSTRAINT audit_passes_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    -- When the newest leases were compared last, how many leases that was, how many it left out, and what it found.
    audited_at timestamptz NOT NULL,
    leases_compared bigint NOT NULL,
    leases_left_out bigint NOT NULL,
    differences bigint NOT NULL,
    -- The pass under way: from which lease on downwards it goes on, and what it has added up. Unset between two passes.
    pass_from uuid,
    pass_began_at timestamptz,
    pass_leases bigint NOT NULL DEFAULT 0,
    pass_differences bigint NOT NULL DEFAULT 0,
    -- One count for each tier number.
    pass_settled_before bigint[] NOT NULL DEFAULT '{}',
    pass_settled_used bigint[] NOT NULL DEFAULT '{}',
    pass_coupons bigint[] NOT NULL DEFAULT '{}',
    pass_is_final boolean NOT NULL DEFAULT FALSE,
    -- The last pass that went over all leases: when it began and what it found.
    complete_at timestamptz,
    complete_leases bigint NOT NULL DEFAULT 0,
    complete_differences bigint NOT NULL DEFAULT 0,
    -- Whether the campaign had closed and had nothing on lease when that pass began, so that none of it could change any more.
    complete_is_final boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT audit_passes_know_when_they_began CHECK ((pass_from IS NULL) = (pass_began_at IS NULL))
);

-- Which replica of quota audits, and until when it may be taken for alive. By the database's clock alone.
CREATE TABLE audit_turn (
    is_turn boolean NOT NULL CONSTRAINT audit_turn_is_one_row PRIMARY KEY CONSTRAINT audit_turn_is_true CHECK (is_turn),
    auditor text NOT NULL,
    ends_at timestamptz NOT NULL
);
