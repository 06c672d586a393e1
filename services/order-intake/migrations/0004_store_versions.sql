-- Counts what a writer that remembers a store must hear of: each change of the store, also one made
-- by hand, and each place that is given back there. While it stands, places there are only taken.
ALTER TABLE stores ADD COLUMN version bigint NOT NULL DEFAULT 0;

CREATE FUNCTION count_store_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;

CREATE TRIGGER stores_count_their_versions BEFORE UPDATE ON stores FOR EACH ROW EXECUTE FUNCTION count_store_version();
