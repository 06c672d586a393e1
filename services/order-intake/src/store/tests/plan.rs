use sqlx::{Executor as _, Row as _};

use super::*;

/// Enough that a scan would cost a planner more than a probe, and few enough to be made in a moment.
const FILL: &str = "
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, state, rejected_because, rejection_metadata, coupon_code, lines, content_hash, created_at, updated_at)
    SELECT 0, 'shopper-' || number, 'r', gen_random_uuid(), 's-1', 1 + number % 3, CASE number % 3 WHEN 2 THEN 'COUPON_EXPIRED' END, CASE number % 3 WHEN 2 THEN '{}'::jsonb END,
           lpad(number::text, 16, '0'), '[]', sha256(''), clock_timestamp(), clock_timestamp()
    FROM generate_series(1, 50000) AS number";
const PREPARE: &str = "PREPARE commit_orders (smallint, timestamptz, text[], text[], uuid[], text[], text[], text[], bytea[], timestamptz[], text[], text[], text[], text[], smallint[], text[], text[]) AS ";
/// A batch of 100 new orders and 100 outcomes.
const EXPLAIN: &str = "
    EXPLAIN EXECUTE commit_orders (0::smallint, now(), array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(gen_random_uuid(), '{100}'), array_fill('x'::text, '{100}'),
        array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(''::bytea, '{100}'), array_fill(now(), '{100}'), array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'),
        array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'), array_fill(2::smallint, '{100}'), array_fill('x'::text, '{100}'), array_fill('x'::text, '{100}'))";

/// Each look-up must be a probe by its whole key: an index of which only the lane fits is a scan of the lane.
async fn assert_probes_only(fixture: &Fixture, plan_cache_mode: &str) {
    let opened = Database::parse(&fixture.database.url(), "plan").unwrap();
    let mut writer = opened.connect_writer().await.unwrap();
    let mode = format!("SET plan_cache_mode = {plan_cache_mode}");
    let prepare = format!(
        "{PREPARE}{}",
        include_str!("../../../queries/commit_orders.sql")
    );
    for statement in [&mode, &prepare] {
        writer.execute(&**statement).await.unwrap();
    }
    let rows = sqlx::raw_sql(EXPLAIN).fetch_all(&mut writer).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let shown = plan.join("\n");
    for scan in [
        "Seq Scan",
        "Hash",
        "Merge Join",
        "Bitmap",
        "Sort Key: orders",
    ] {
        assert!(!shown.contains(scan), "{scan} in\n{shown}");
    }
    let conditions: Vec<_> = plan
        .iter()
        .filter(|line| line.contains("Index Cond"))
        .collect();
    assert_eq!(conditions.len(), 4, "{shown}");
    for (key, probes) in [
        ("request_id >=", 2),
        ("coupon_code >=", 1),
        ("store_id =", 1),
    ] {
        let found = conditions.iter().filter(|line| line.contains(key)).count();
        assert_eq!(found, probes, "{key} in\n{shown}");
    }
}

#[tokio::test]
async fn a_batch_probes_indexes_on_an_empty_table_a_full_one_never_analysed_and_an_analysed_one() {
    let fixture = Fixture::start().await;
    let unanalysed = "ALTER TABLE orders SET (autovacuum_enabled = off)";
    for change in [unanalysed, FILL, "ANALYZE"] {
        fixture.database.execute(change).await;
        for plan_cache_mode in ["force_custom_plan", "force_generic_plan"] {
            assert_probes_only(&fixture, plan_cache_mode).await;
        }
    }
}
