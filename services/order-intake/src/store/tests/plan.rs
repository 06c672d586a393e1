use std::collections::BTreeSet;

use sqlx::{Executor as _, Row as _};

use super::*;

/// Enough that a scan would cost a planner more than a probe, and few enough to be made in a
/// moment.
const FILL: &str = "
    CREATE TABLE order_details_of_today PARTITION OF order_details FOR VALUES FROM (current_date) TO (current_date + 1);
    CREATE TABLE order_events_of_today PARTITION OF order_events FOR VALUES FROM (current_date) TO (current_date + 1);
    INSERT INTO stores (store_id, display_name, area) SELECT 'store-' || number, 'tea', 'west' FROM generate_series(1, 20000) AS number;
    INSERT INTO store_slots (store_id, slot_starts_at, slot_minutes, booked, capacity_when_booked)
    SELECT 'store-' || number, date_trunc('hour', now()) + make_interval(mins => number % 100 * 10), 10, 1, 1 FROM generate_series(1, 20000) AS number;
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, rejected_because, rejection_metadata, coupon_code, content_hash, created_at, updated_at)
    SELECT 0, 'shopper-' || number, 'r', gen_random_uuid(), 'store-' || number % 500, 'west', date_trunc('minute', now()) + make_interval(mins => number % 20), 1, 1 + number % 3, CASE number % 3 WHEN 2 THEN 'COUPON_EXPIRED' END, CASE number % 3 WHEN 2 THEN '{}'::jsonb END,
           lpad(number::text, 16, '0'), sha256(''), clock_timestamp(), clock_timestamp()
    FROM generate_series(1, 50000) AS number;
    INSERT INTO order_details SELECT current_date, 0, order_id, '[]' FROM orders;
    INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, placed_on, slot_starts_at, slot_minutes, happened_at)
    SELECT current_date, 0, row_number() OVER (), order_id, shopper_id, store_id, area, 1, current_date, slot_starts_at, slot_minutes, now() FROM orders";
/// So few rows, all of one time, that other indexes seem as good; the plan outlives that.
const BEGIN: &str = "
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at)
    SELECT 0, 'early-' || number, 'r', gen_random_uuid(), 'store-' || number % 500, 'west', date_trunc('minute', now()) + make_interval(mins => number % 2), 1, 2,
           lpad(number::text, 16, 'E'), sha256(''), clock_timestamp(), clock_timestamp()
    FROM generate_series(1, 1000) AS number;
    INSERT INTO store_slots (store_id, slot_starts_at, slot_minutes, booked, capacity_when_booked)
    SELECT 'early-' || number, date_trunc('minute', now()), 1, 1, 1 FROM generate_series(1, 500) AS number;
    ANALYZE store_slots";
const UNANALYSED: &str = "
    ALTER TABLE orders SET (autovacuum_enabled = off);
    ALTER TABLE stores SET (autovacuum_enabled = off);
    ALTER TABLE store_slots SET (autovacuum_enabled = off)";

/// A statement of the hot path or of staff: what it is run with, the keys that it must probe, and the
/// indexes by which staff's must do so.
struct Probing {
    statement: &'static str,
    types: &'static str,
    arguments: &'static str,
    probes: &'static [(&'static str, usize)],
    indexes: &'static [&'static str],
}

macro_rules! probing {
    ($($name:literal ($types:literal) ($arguments:literal): [$($probe:expr),*], [$($index:expr),*];)*) => {
        &[$(Probing {
            statement: include_str!(concat!("../../../queries/", $name, ".sql")),
            types: $types,
            arguments: $arguments,
            probes: &[$($probe),*],
            indexes: &[$($index),*],
        }),*]
    };
}

const PROBING: &[Probing] = probing! {
    "find_earlier_orders" ("smallint, text[], text[], bytea[]")
        ("0::smallint, array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(''::bytea, '{100}')"):
        [("request_id >=", 1)], [];
    "count_orders_to_come" ("smallint, text[], timestamptz, bigint")
        ("0::smallint, array_fill('x'::text, '{100}'), now(), 1020"):
        [("shopper_id >=", 1)], [];
    "lock_orders" ("smallint, uuid[], text[], text[]")
        ("0::smallint, array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}')"):
        [("order_id >=", 1), ("shopper_id >=", 1)], [];
    "lock_stores" ("text[]")
        ("array_fill('x'::text, '{100}')"):
        [("store_id >=", 1), ("store_id =", 1)], [];
    "lock_free_stores" ("text[]")
        ("array_fill('x'::text, '{100}')"):
        [("store_id >=", 1), ("store_id =", 1)], [];
    "read_bookings" ("text[], timestamptz, timestamptz")
        ("array_fill('x'::text, '{100}'), now(), now() + interval '1 day'"):
        [("ROW(store_id", 1)], [];
    "read_feed" ("smallint[], bigint[], bigint, text, text")
        ("array_fill(0::smallint, '{4}'), array_fill(0::bigint, '{4}'), 500, NULL, NULL"):
        [("\"position\" >", 1), ("placed_on =", 1)], [];
    "orders_to_close" ("smallint, text, timestamptz, bigint")
        ("0::smallint, 'x', now(), 500"):
        [("closed_by =", 1), ("store_id >= stores.store_id", 1), ("placed_on =", 1)], [];
    "write_orders" ("smallint, timestamptz, date, text[], text[], uuid[], text[], text[], timestamptz[], smallint[], text[], text[], bytea[], timestamptz[], text[],
            uuid[], smallint[], text[], text[], bigint[], timestamptz[], boolean[], text[], timestamptz[], smallint[], text[], text[], timestamptz[], smallint[], integer[], integer[]")
        ("0::smallint, now(), current_date, array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'),
            array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill('x'::text, '{100}'), array_fill('[]'::text, '{100}'),
            array_fill(''::bytea, '{100}'), array_fill(now(), '{100}'), array_fill('x'::text, '{100}'),
            array_fill(gen_random_uuid(), '{100}'), array_fill(2::smallint, '{100}'), array_fill('x'::text, '{100}'), array_fill('{}'::text, '{100}'), array_fill(1::bigint, '{100}'),
            array_fill(now(), '{100}'), array_fill(FALSE, '{100}'), array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill('x'::text, '{100}'),
            array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill(1, '{100}'), array_fill(1, '{100}')"):
        [("order_id >=", 1)], [];
    "write_from_memory" ("smallint, timestamptz, date, bigint, bigint, text[], bigint[],
            text[], text[], uuid[], text[], text[], timestamptz[], smallint[], integer[], text[], text[], bytea[], timestamptz[], text[], smallint[],
            uuid[], timestamptz[], bigint[]")
        ("0::smallint, now(), current_date, 20, 1020, array_fill('x'::text, '{100}'), array_fill(1::bigint, '{100}'),
            array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'),
            array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill(10, '{100}'), array_fill('x'::text, '{100}'),
            array_fill('[]'::text, '{100}'), array_fill(''::bytea, '{100}'), array_fill(now(), '{100}'), array_fill('x'::text, '{100}'), array_fill(0::smallint, '{100}'),
            array_fill(gen_random_uuid(), '{100}'), array_fill(now(), '{100}'), array_fill(1::bigint, '{100}')"):
        [("(store_id >=", 1), ("request_id >=", 1), ("shopper_id >= asked.shopper_id) AND (shopper_id <=", 1), ("order_id >=", 1), ("coupon_code =", 1)], [];
    "note_places_given_back" ("text[]")
        ("array_fill('x'::text, '{100}')"):
        [("store_id >=", 1)], [];
    "find_order" ("smallint[], uuid")
        ("array_fill(0::smallint, '{4}'), gen_random_uuid()"):
        [("order_id >=", 1), ("placed_on =", 1)], ["orders_order_id_is_unique"];
    "store_orders_to_read" ("text, smallint[], timestamptz, timestamptz, bigint, boolean, boolean")
        ("'store-7', array_fill(0::smallint, '{4}'), now() - interval '1 day', now() + interval '1 day', 500, TRUE, TRUE"):
        [("ROW(store_id, slot_starts_at) >", 1), ("(store_id =", 1)],
        ["stores_key", "orders_of_slot", "orders_ended_of_slot"];
    "list_store_orders" ("text, smallint[], timestamptz, uuid, timestamptz, boolean, boolean, smallint[], bigint, bigint")
        ("'store-7', array_fill(0::smallint, '{4}'), now() - interval '1 day', gen_random_uuid(), now() + interval '1 day', TRUE, TRUE, '{1,2,3}'::smallint[], 101, 20500"):
        [("ROW(store_id, slot_starts_at) >=", 1),
            ("ROW(store_id, slot_starts_at, order_id) >", 1), ("placed_on =", 1)],
        ["orders_of_slot", "orders_ended_of_slot"];
    "list_stores" ("text, boolean, boolean, bigint")
        ("'', TRUE, TRUE, 101"):
        [("ROW(is_closed, store_id)", 2)], ["stores_of_state"];
    "list_stores_of_area" ("text, boolean, boolean, bigint, text")
        ("'', TRUE, TRUE, 101, 'west'"):
        [("ROW(area, store_id)", 2)], ["stores_of_state_and_area"];
};

/// Each look-up must be a probe by its whole key: an index of which only the lane fits is a scan of
/// the lane.
async fn assert_probes_only(fixture: &Fixture, probing: &Probing, plan_cache_mode: &str) {
    let mut writer = open(&fixture.database).connect_writer().await.unwrap();
    let mode = format!("SET plan_cache_mode = {plan_cache_mode}");
    let prepare = format!("PREPARE hot ({}) AS {}", probing.types, probing.statement);
    for statement in [&mode, &prepare] {
        writer.execute(&**statement).await.unwrap();
    }
    let explain = format!("EXPLAIN EXECUTE hot ({})", probing.arguments);
    let rows = sqlx::raw_sql(&explain)
        .fetch_all(&mut writer)
        .await
        .unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let shown = plan.join("\n");
    let scans = "Seq Scan|Hash Cond|Merge Cond|Bitmap|Memoize|Sort Key: orders";
    for scan in scans.split('|') {
        assert!(!shown.contains(scan), "{scan} in\n{shown}");
    }
    // Every day's table is probed alike.
    let conditions: BTreeSet<_> = plan
        .iter()
        .filter(|line| line.contains("Index Cond"))
        .map(|line| line.trim())
        .collect();
    for (key, probes) in probing.probes {
        let found = conditions.iter().filter(|line| line.contains(key)).count();
        assert_eq!(found, *probes, "{key} in\n{shown}");
    }
    let expected: usize = probing.probes.iter().map(|(_, probes)| probes).sum();
    assert_eq!(conditions.len(), expected, "{shown}");
    for index in probing.indexes {
        let used = format!("using {index} ");
        assert!(shown.contains(&used), "{index} in\n{shown}");
    }
}

#[tokio::test]
async fn a_batch_probes_indexes_on_an_empty_table_a_small_one_a_full_one_never_analysed_and_an_analysed_one()
 {
    let fixture = Fixture::start().await;
    for change in [UNANALYSED, BEGIN, "ANALYZE orders", FILL, "ANALYZE"] {
        fixture.database.execute(change).await;
        for plan_cache_mode in ["force_custom_plan", "force_generic_plan"] {
            for probing in PROBING {
                assert_probes_only(&fixture, probing, plan_cache_mode).await;
            }
        }
    }
}
