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
    INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, placed_on, happened_at)
    SELECT current_date, 0, row_number() OVER (), order_id, shopper_id, store_id, area, 1, current_date, now() FROM orders";
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

/// A statement of the hot path or of staff, what it is run with, and the keys it must probe.
struct Hot {
    statement: &'static str,
    types: &'static str,
    arguments: &'static str,
    probes: &'static [(&'static str, usize)],
}

const HOT: [Hot; 9] = [
    Hot {
        statement: include_str!("../../../queries/find_earlier_orders.sql"),
        types: "smallint, text[], text[], bytea[]",
        arguments: "0::smallint, array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(''::bytea, '{100}')",
        probes: &[("request_id >=", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/count_orders_to_come.sql"),
        types: "smallint, text[], timestamptz, bigint",
        arguments: "0::smallint, array_fill('x'::text, '{100}'), now(), 1020",
        probes: &[("shopper_id >=", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/lock_orders.sql"),
        types: "smallint, uuid[], text[], text[]",
        arguments: "0::smallint, array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}')",
        probes: &[("order_id >=", 1), ("shopper_id >=", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/lock_stores.sql"),
        types: "text[]",
        arguments: "array_fill('x'::text, '{100}')",
        probes: &[("store_id >=", 1), ("store_id =", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/lock_free_stores.sql"),
        types: "text[]",
        arguments: "array_fill('x'::text, '{100}')",
        probes: &[("store_id >=", 1), ("store_id =", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/read_bookings.sql"),
        types: "text[], timestamptz, timestamptz",
        arguments: "array_fill('x'::text, '{100}'), now(), now() + interval '1 day'",
        probes: &[("ROW(store_id", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/read_feed.sql"),
        types: "smallint[], bigint[], bigint, text, text",
        arguments: "array_fill(0::smallint, '{4}'), array_fill(0::bigint, '{4}'), 500, NULL, NULL",
        probes: &[("\"position\" >", 1), ("placed_on =", 1)],
    },
    Hot {
        statement: include_str!("../../../queries/orders_to_close.sql"),
        types: "smallint, text, timestamptz, bigint",
        arguments: "0::smallint, 'x', now(), 500",
        probes: &[
            ("closed_by =", 1),
            ("store_id >= stores.store_id", 1),
            ("placed_on =", 1),
        ],
    },
    Hot {
        statement: include_str!("../../../queries/write_orders.sql"),
        types: "smallint, timestamptz, date, text[], text[], uuid[], text[], text[], timestamptz[], smallint[], text[], text[], bytea[], timestamptz[], text[],
            uuid[], smallint[], text[], text[], bigint[], timestamptz[], boolean[], text[], timestamptz[], smallint[], text[], text[], timestamptz[], smallint[], integer[], integer[]",
        arguments: "0::smallint, now(), current_date, array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'),
            array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill('x'::text, '{100}'), array_fill('[]'::text, '{100}'),
            array_fill(''::bytea, '{100}'), array_fill(now(), '{100}'), array_fill('x'::text, '{100}'),
            array_fill(gen_random_uuid(), '{100}'), array_fill(2::smallint, '{100}'), array_fill('x'::text, '{100}'), array_fill('{}'::text, '{100}'), array_fill(1::bigint, '{100}'),
            array_fill(now(), '{100}'), array_fill(FALSE, '{100}'), array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill('x'::text, '{100}'),
            array_fill('x'::text, '{100}'), array_fill(now(), '{100}'), array_fill(10::smallint, '{100}'), array_fill(1, '{100}'), array_fill(1, '{100}')",
        probes: &[("order_id >=", 1)],
    },
];

/// What staff look up, which must not read what it does not tell either, and the indexes that it
/// reads.
const STAFF: [(Hot, &[&str]); 5] = [
    (
        Hot {
            statement: include_str!("../../../queries/find_order.sql"),
            types: "smallint[], uuid",
            arguments: "array_fill(0::smallint, '{4}'), gen_random_uuid()",
            probes: &[("order_id >=", 1), ("placed_on =", 1)],
        },
        &["orders_order_id_is_unique"],
    ),
    (
        Hot {
            statement: include_str!("../../../queries/store_orders_to_read.sql"),
            types: "text, smallint[], timestamptz, timestamptz, bigint, boolean, boolean",
            arguments: "'store-7', array_fill(0::smallint, '{4}'), now() - interval '1 day', now() + interval '1 day', 500, TRUE, TRUE",
            probes: &[("ROW(store_id, slot_starts_at) >", 1), ("(store_id =", 1)],
        },
        &["stores_key", "orders_of_slot", "orders_ended_of_slot"],
    ),
    (
        Hot {
            statement: include_str!("../../../queries/list_store_orders.sql"),
            types: "text, smallint[], timestamptz, uuid, timestamptz, boolean, boolean, smallint[], bigint, bigint",
            arguments: "'store-7', array_fill(0::smallint, '{4}'), now() - interval '1 day', gen_random_uuid(), now() + interval '1 day', TRUE, TRUE, '{1,2,3}'::smallint[], 101, 20500",
            probes: &[
                ("ROW(store_id, slot_starts_at) >=", 1),
                ("ROW(store_id, slot_starts_at, order_id) >", 1),
                ("placed_on =", 1),
            ],
        },
        &["orders_of_slot", "orders_ended_of_slot"],
    ),
    (
        Hot {
            statement: include_str!("../../../queries/list_stores.sql"),
            types: "text, boolean, boolean, bigint",
            arguments: "'', TRUE, TRUE, 101",
            probes: &[("ROW(is_closed, store_id)", 2)],
        },
        &["stores_of_state"],
    ),
    (
        Hot {
            statement: include_str!("../../../queries/list_stores_of_area.sql"),
            types: "text, boolean, boolean, bigint, text",
            arguments: "'', TRUE, TRUE, 101, 'west'",
            probes: &[("ROW(area, store_id)", 2)],
        },
        &["stores_of_state_and_area"],
    ),
];

/// Each look-up must be a probe by its whole key: an index of which only the lane fits is a scan of
/// the lane.
async fn assert_probes_only(fixture: &Fixture, hot: &Hot, plan_cache_mode: &str) -> String {
    let opened = Database::parse(&fixture.database.url(), "plan").unwrap();
    let mut writer = opened.connect_writer().await.unwrap();
    let mode = format!("SET plan_cache_mode = {plan_cache_mode}");
    let prepare = format!("PREPARE hot ({}) AS {}", hot.types, hot.statement);
    for statement in [&mode, &prepare] {
        writer.execute(&**statement).await.unwrap();
    }
    let explain = format!("EXPLAIN EXECUTE hot ({})", hot.arguments);
    let rows = sqlx::raw_sql(&explain)
        .fetch_all(&mut writer)
        .await
        .unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let shown = plan.join("\n");
    for scan in [
        "Seq Scan",
        "Hash",
        "Merge Join",
        "Bitmap",
        "Memoize",
        "Sort Key: orders",
    ] {
        assert!(!shown.contains(scan), "{scan} in\n{shown}");
    }
    // Every day's table is probed alike.
    let conditions: BTreeSet<_> = plan
        .iter()
        .filter(|line| line.contains("Index Cond"))
        .map(|line| line.trim())
        .collect();
    for (key, probes) in hot.probes {
        let found = conditions.iter().filter(|line| line.contains(key)).count();
        assert_eq!(found, *probes, "{key} in\n{shown}");
    }
    let expected: usize = hot.probes.iter().map(|(_, probes)| probes).sum();
    assert_eq!(conditions.len(), expected, "{shown}");
    shown
}

#[tokio::test]
async fn a_batch_probes_indexes_on_an_empty_table_a_small_one_a_full_one_never_analysed_and_an_analysed_one()
 {
    let fixture = Fixture::start().await;
    for change in [UNANALYSED, BEGIN, "ANALYZE orders", FILL, "ANALYZE"] {
        fixture.database.execute(change).await;
        for plan_cache_mode in ["force_custom_plan", "force_generic_plan"] {
            for hot in &HOT {
                assert_probes_only(&fixture, hot, plan_cache_mode).await;
            }
            for (looked_up, indexes) in &STAFF {
                let shown = assert_probes_only(&fixture, looked_up, plan_cache_mode).await;
                for index in *indexes {
                    assert!(
                        shown.contains(&format!("using {index} ")),
                        "{index} in\n{shown}"
                    );
                }
            }
        }
    }
}
