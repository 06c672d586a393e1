-- Whether a lease that was just installed comes so late that its campaign is retired; then its transaction is rolled back.
-- It must be a statement of its own, after the installation: rows are only deleted once the retirement is committed, so an installation that met no row because it was deleted sees the retirement here.
-- Relies on retired_campaigns_pkey.
SELECT EXISTS (SELECT FROM retired_campaigns WHERE lane = $1 AND campaign_number = $2)
