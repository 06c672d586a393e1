-- The view's columns were fixed when it was made; made again below, it has the new ones. It goes
-- first: who reads it locks it before its tables.
DROP VIEW campaign_states;

-- What people call a campaign, and when staff ended it for good.
ALTER TABLE campaigns
    ADD COLUMN display_name text NOT NULL DEFAULT ''
        CONSTRAINT campaigns_display_name_is_bounded CHECK (char_length(display_name) <= 100),
    ADD COLUMN description text NOT NULL DEFAULT ''
        CONSTRAINT campaigns_description_is_bounded CHECK (char_length(description) <= 1000),
    ADD COLUMN ended_at timestamptz,
    -- The SHA-256 of the terms a campaign was made with, kept once they are others, so that a repeated
    -- CreateCampaign is recognised all the same.
    ADD COLUMN made_with bytea
        CONSTRAINT campaigns_made_with_is_a_sha256 CHECK (octet_length(made_with) = 32),
    ADD CONSTRAINT campaigns_are_closed_once_ended CHECK (ended_at IS NULL OR closes_at <= ended_at);

-- Whether the gateway wanted a queue, for staff who look. It counts only when it is taken in.
ALTER TABLE queue_reports ADD COLUMN wanted_queue boolean NOT NULL DEFAULT FALSE;

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
