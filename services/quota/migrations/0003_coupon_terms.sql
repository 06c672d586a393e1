-- What an order must be for a coupon of the tier to pay for it; fixed by the campaign's makers. Tiers there are ask nothing.
ALTER TABLE tiers
    ADD COLUMN minimum_spend_minor_units bigint NOT NULL DEFAULT 0 CONSTRAINT tiers_minimum_spend_in_range CHECK (minimum_spend_minor_units BETWEEN 0 AND 10000000),
    ADD COLUMN areas text[] NOT NULL DEFAULT '{}' CONSTRAINT tiers_areas_are_bounded CHECK (cardinality(areas) <= 100),
    ADD COLUMN store_ids text[] NOT NULL DEFAULT '{}' CONSTRAINT tiers_stores_are_bounded CHECK (cardinality(store_ids) <= 1000);

-- The view's columns were fixed when it was made; made again, it has the new ones. Lists of different lengths do not fit into one array, so each tier's names are one text: no name holds a space.
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
