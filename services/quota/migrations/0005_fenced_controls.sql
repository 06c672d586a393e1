-- What staff said of a campaign's coupons is in force once issuance's database has it. The first two
-- are the revisions that brought redeeming to what it is and the extension; `fenced_revision` is the
-- newest revision that issuance's database is known to have.
ALTER TABLE campaigns
    ADD COLUMN redemption_revision bigint NOT NULL DEFAULT 0
        CONSTRAINT campaigns_redemption_revision_is_not_negative CHECK (redemption_revision >= 0),
    ADD COLUMN extension_revision bigint NOT NULL DEFAULT 0
        CONSTRAINT campaigns_extension_revision_is_not_negative CHECK (extension_revision >= 0),
    ADD COLUMN fenced_revision bigint NOT NULL DEFAULT 0
        CONSTRAINT campaigns_fenced_revision_is_not_negative CHECK (fenced_revision >= 0);

-- Until now issuance heard of changes until a day after the end only: all that were made are told again.
UPDATE campaigns SET redemption_revision = revision WHERE control_epoch > 0;
UPDATE campaigns SET extension_revision = revision WHERE extended_valid_until IS NOT NULL;

-- The few that issuance has yet to be told of, however many campaigns there are.
CREATE INDEX campaigns_to_fence ON campaigns (campaign_number)
    WHERE fenced_revision < greatest(redemption_revision, extension_revision);
-- Campaigns whose coupons are valid long after the end.
CREATE INDEX campaigns_by_extension ON campaigns (extended_valid_until) WHERE extended_valid_until IS NOT NULL;

-- The view's columns were fixed when it was made; made again, it has the new ones.
DROP VIEW campaign_states;
CREATE VIEW campaign_states AS
SELECT campaigns.*, gathered.*
FROM campaigns
CROSS JOIN LATERAL (
    SELECT
        array_agg(tier_id ORDER BY tier_number) AS tier_ids,
        array_agg(face_value_minor_units ORDER BY tier_number) AS face_values_minor_units,
        array_agg(minimum_spend_minor_units ORDER BY tier_number) AS minimum_spends_minor_units,
        array_agg(array_to_string(areas, ' ') ORDER BY tier_number) AS areas,
        array_agg(array_to_string(store_ids, ' ') ORDER BY tier_number) AS store_ids,
        array_agg(initial_stock ORDER BY tier_number) AS initial_stocks,
        array_agg(free ORDER BY tier_number) AS free,
        array_agg(leased ORDER BY tier_number) AS leased,
        array_agg(settled ORDER BY tier_number) AS settled
    FROM tiers
    WHERE tiers.campaign_number = campaigns.campaign_number
) AS gathered;
