-- What staff have said of a campaign while it runs. Whoever changes it holds the locks of all the campaign's tiers, as whoever lends stock does: a lease is granted before a halt, or sees it.
ALTER TABLE campaigns
    ADD COLUMN issuance_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_issuance_control_is_known CHECK (issuance_control IN ('OPEN', 'QUEUE_ONLY', 'HALTED')),
    ADD COLUMN redemption_control text NOT NULL DEFAULT 'OPEN' CONSTRAINT campaigns_redemption_control_is_known CHECK (redemption_control IN ('OPEN', 'HALTED')),
    -- Empty as long as nobody has changed the control.
    ADD COLUMN control_reason text NOT NULL DEFAULT '' CONSTRAINT campaigns_control_reason_is_bounded CHECK (char_length(control_reason) <= 200),
    ADD COLUMN resume_at timestamptz,
    ADD COLUMN control_epoch bigint NOT NULL DEFAULT 0 CONSTRAINT campaigns_control_epoch_is_not_negative CHECK (control_epoch >= 0),
    ADD COLUMN extended_valid_until timestamptz;

-- Why a lease was sealed and settled. Until now only its holder could do that. A quota of the version before, which runs on during a rolling update, settles without a reason.
ALTER TABLE leases ADD COLUMN sealed_because text CONSTRAINT leases_sealed_because_is_known CHECK (sealed_because IN ('RETURNED', 'SILENT', 'HALTED', 'CLOSED'));
UPDATE leases SET sealed_because = 'RETURNED' WHERE settled_at IS NOT NULL;
ALTER TABLE leases ADD CONSTRAINT leases_have_a_reason_once_settled CHECK (sealed_because IS NULL OR settled_at IS NOT NULL);

-- The leases that may have to be taken back: few, however many there have been. In the order of the primary key, so that it beats that key whatever the planner believes about how many are settled.
CREATE INDEX leases_unsettled ON leases (lease_id, campaign_number, holder_id) WHERE settled_at IS NULL;
-- An audit reads a campaign's leases page by page.
CREATE INDEX leases_by_campaign ON leases (campaign_number, lease_id);

-- The lives of issuance replicas. `beats` grows with each sign of life; how fast does not matter, only whether it grows.
CREATE TABLE holders (
    holder_id text NOT NULL CONSTRAINT holders_pkey PRIMARY KEY,
    beats bigint NOT NULL CONSTRAINT holders_beats_are_positive CHECK (beats > 0)
)
-- Every row changes twice a second: room on the page keeps those updates out of the index.
WITH (fillfactor = 50);

-- The view's columns were fixed when it was made; made again, it has the new ones.
DROP VIEW campaign_states;
CREATE VIEW campaign_states AS
SELECT campaigns.*, gathered.*
FROM campaigns
CROSS JOIN LATERAL (
    SELECT
        array_agg(tier_id ORDER BY tier_number) AS tier_ids,
        array_agg(face_value_minor_units ORDER BY tier_number) AS face_values_minor_units,
        array_agg(initial_stock ORDER BY tier_number) AS initial_stocks,
        array_agg(free ORDER BY tier_number) AS free,
        array_agg(leased ORDER BY tier_number) AS leased,
        array_agg(settled ORDER BY tier_number) AS settled
    FROM tiers
    WHERE tiers.campaign_number = campaigns.campaign_number
) AS gathered;
