-- The revision from which on a campaign's tiers are those of its row: what an older one calls a
-- tier's number may be another tier. 0 if they never were others.
ALTER TABLE campaigns ADD COLUMN tiers_since bigint NOT NULL DEFAULT 0;
