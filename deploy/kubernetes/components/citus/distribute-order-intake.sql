-- Spreads orders and their feed over the nodes of a Citus cluster. Stores and their slots serve every lane, so they are copied, and a booking is a commit in two phases.
-- May run as often as it likes: a table that is distributed already is left alone, and so is everything where the extension is not installed, unless `tidegate.citus_required` is on.
DO $$
DECLARE
    -- Read by every statement and changed rarely, or belonging to no lane: a copy on every node.
    copied text[] := ARRAY['deployment', 'stores', 'store_slots', 'store_closings', 'campaign_ends'];
    -- In this order: a table comes after the one that it refers to.
    by_lane text[] := ARRAY['orders', 'order_details', 'order_events', 'feed_heads', 'feed_cursors'];
    name text;
    first_by_lane text := by_lane[1];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        IF current_setting('tidegate.citus_required', TRUE) = 'on' THEN
            RAISE EXCEPTION 'citus is not installed in this database: CREATE EXTENSION citus, and the Job does the rest';
        END IF;
        RAISE NOTICE 'citus is not installed here: nothing is distributed';
        RETURN;
    END IF;
    -- All tables in one transaction: shard after shard over one connection a node, so that each step sees the one before.
    PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', TRUE);
    FOREACH name IN ARRAY copied LOOP
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name::regclass) THEN
            PERFORM create_reference_table(name);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY by_lane LOOP
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name::regclass) THEN
            -- Rows of one lane lie on one node, whatever table they are in: a transaction of one lane stays there.
            IF name = first_by_lane THEN
                PERFORM create_distributed_table(name, 'lane', colocate_with => 'none');
            ELSE
                PERFORM create_distributed_table(name, 'lane', colocate_with => first_by_lane);
            END IF;
        END IF;
    END LOOP;
END
$$;
