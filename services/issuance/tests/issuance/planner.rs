//! What the hot statements cost, by the shape of their plans and the pages they touch, never by time.

use sqlx::{Connection as _, PgConnection, Row as _};
use tidegate_issuance::store::MIGRATIONS;
use tidegate_test_kit::TestDatabase;

const BATCH: usize = 200;
const ROWS: usize = 200_000;
/// A probe of a B-tree of three levels, an insertion into the table and the tree, and some room.
const MAX_PAGES_PER_CLAIM: f64 = 24.0;
/// How much more a claim may cost in the worst state of the table than in the best one.
const MAX_SPREAD: f64 = 4.0;
const LEASE: &str = "00000000-0000-7000-8000-000000000001";

macro_rules! statement {
    ($name:literal, $types:literal) => {
        (
            $name,
            $types,
            include_str!(concat!("../../queries/", $name, ".sql")),
        )
    };
}

const STATEMENTS: [(&str, &str, &str); 8] = [
    statement!(
        "issue_coupons",
        "smallint, text[], integer[], text[], smallint[], smallint[], uuid[], smallint[], timestamptz[], text[], smallint, timestamptz"
    ),
    statement!(
        "redeem_coupons",
        "smallint, text[], integer[], smallint[], uuid[], timestamptz, integer[], timestamptz[]"
    ),
    statement!(
        "revoke_coupons",
        "smallint, text[], integer[], smallint[], text[], timestamptz"
    ),
    statement!(
        "release_coupons",
        "smallint, text[], integer[], smallint[], uuid[], timestamptz, timestamptz[], interval, integer"
    ),
    statement!("read_coupons", "smallint, text[], integer[], smallint[]"),
    statement!("read_claim", "smallint, text, integer, text"),
    statement!(
        "list_coupons",
        "smallint, text, integer, smallint, integer, bigint"
    ),
    statement!(
        "find_coupons_of_shopper",
        "smallint, text, timestamptz, integer, smallint, bigint"
    ),
];

/// An array of `BATCH` elements as SQL text.
fn array(element: impl Fn(usize) -> String) -> String {
    let elements: Vec<_> = (0..BATCH).map(element).collect();
    format!("'{{{}}}'", elements.join(","))
}

/// An array of `BATCH` times the same.
fn all(element: &str) -> String {
    array(|_| element.to_owned())
}

/// Shoppers spread over the whole table, sorted as the commit queue sorts them.
fn shopper(place: usize) -> String {
    format!("s-{:06}", (place + 1) * (ROWS / BATCH))
}

fn arguments(statement: &str) -> String {
    let (shoppers, one) = (array(shopper), shopper(7));
    let (ones, zeros, nothing) = (all("1"), all("0"), all("NULL"));
    let orders = array(|place| format!("00000000-0000-4000-8000-{place:012}"));
    let now = "'2026-02-06 00:00Z'";
    match statement {
        "issue_coupons" => {
            let (requests, leases) = (array(|place| format!("new-{place}")), all(LEASE));
            let (limits, ends) = (all("2"), all("2099-01-01 00:00Z"));
            format!(
                "0, {shoppers}, {ones}, {requests}, {nothing}, {zeros}, {leases}, {limits}, {ends}, {nothing}, 1, {now}"
            )
        }
        "redeem_coupons" => {
            let tiers = all("65535");
            format!("0, {shoppers}, {ones}, {ones}, {orders}, {now}, {tiers}, {nothing}")
        }
        "revoke_coupons" => {
            let reasons = all("mistake");
            format!("0, {shoppers}, {ones}, {ones}, {reasons}, {now}")
        }
        "release_coupons" => format!(
            "0, {shoppers}, {ones}, {ones}, {orders}, {now}, {nothing}, '7 days', 32, {nothing}"
        ),
        "read_coupons" => format!("0, {shoppers}, {ones}, {ones}"),
        "read_claim" => format!("0, '{one}', 1, 'old'"),
        "find_coupons_of_shopper" => {
            format!("0, '{one}', '2099-01-01 00:00Z', 1, 1::smallint, 101")
        }
        _ => format!("0, '{one}', 2147483647, 255::smallint, 0, 21"),
    }
}

async fn text(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    let rows = sqlx::raw_sql(statement).fetch_all(connection).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

pub async fn run(connection: &mut PgConnection, statement: &str) {
    let done = sqlx::raw_sql(statement).execute(connection).await;
    done.unwrap();
}

/// What is wrong with a plan: every access to the coupons has to be a probe of the primary key by shopper, and nothing may be joined by building or
/// sorting a whole side.
fn bad_shape(plan: &[String]) -> Option<String> {
    let mut probes = 0;
    for (number, line) in plan.iter().enumerate() {
        let node = line.trim_start().trim_start_matches("->").trim_start();
        if node.starts_with("Hash") || node.starts_with("Merge") {
            return Some(format!("joins whole sides: {node}"));
        }
        if !node.contains(" on coupons") || node.starts_with("Insert") || node.starts_with("Update")
        {
            continue;
        }
        let how = node.split_once(" using coupons_pkey on coupons");
        let how = how.map_or("", |(how, _)| how.trim_end_matches(" Backward"));
        if !["Index Scan", "Index Only Scan"].contains(&how) {
            return Some(format!("reads coupons by other means than the key: {node}"));
        }
        let condition = plan.get(number + 1).map_or("", |next| next.trim());
        if !condition.starts_with("Index Cond:") || !condition.contains("shopper_id = ") {
            return Some(format!(
                "reads more than one shopper's coupons: {condition}"
            ));
        }
        probes += 1;
    }
    (probes == 0).then(|| "does not read the coupons at all".to_owned())
}

/// The plans that are not as they should be, with the reason.
async fn bad_plans(connection: &mut PgConnection, state: &str) -> Vec<String> {
    let mut bad = Vec::new();
    // A statement that is run again and again is planned for its values at first and without them later.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(connection, &format!("SET plan_cache_mode = {mode}")).await;
        for (name, _, _) in STATEMENTS {
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE {name} ({})", arguments(name));
            let plan = text(connection, &explain).await;
            if let Some(why) = bad_shape(&plan) {
                let plan = plan.join("\n");
                bad.push(format!("{name}, {state}, {mode}: {why}\n{plan}"));
            }
        }
    }
    run(connection, "RESET plan_cache_mode").await;
    bad
}

/// The plan of a prepared statement that is executed for it, with what it touches.
async fn executed(connection: &mut PgConnection, execute: &str) -> Vec<String> {
    let options = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF";
    text(connection, &format!("EXPLAIN ({options}) {execute}")).await
}

/// The pages that a prepared statement touches when it is executed.
pub async fn pages(connection: &mut PgConnection, execute: &str) -> u64 {
    let plan = executed(connection, execute).await;
    println!("{}", plan.join("\n"));
    first_buffers(&plan)
}

/// Pages touched per claim of a batch that issues a coupon for each.
async fn pages_per_claim(connection: &mut PgConnection) -> f64 {
    let mut transaction = connection.begin().await.unwrap();
    let execute = format!("EXECUTE issue_coupons ({})", arguments("issue_coupons"));
    let plan = executed(&mut transaction, &execute).await;
    let issued = "SELECT count(*)::text FROM coupons WHERE request_id LIKE 'new-%'";
    let issued = text(&mut transaction, issued).await;
    transaction.rollback().await.unwrap();
    assert_eq!(issued, [BATCH.to_string()], "{}", plan.join("\n"));
    let mut lines = plan.iter();
    let insertion = lines.position(|line| line.contains("Insert on coupons"));
    // The insertion runs after the rest, and is not counted in the topmost node.
    let pages = first_buffers(&plan) + first_buffers(&plan[insertion.unwrap()..]);
    pages as f64 / BATCH as f64
}

fn first_buffers(plan: &[String]) -> u64 {
    let mut lines = plan.iter().map(|line| line.trim_start());
    let line = lines.find(|line| line.starts_with("Buffers:")).unwrap();
    let counts = line.split_whitespace().filter_map(|word| {
        let count = word.strip_prefix("hit=").or(word.strip_prefix("read="))?;
        count.parse::<u64>().ok()
    });
    counts.sum()
}

async fn fill(connection: &mut PgConnection) {
    let rows = format!(
        "INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
         SELECT 0, 's-' || lpad(number::text, 6, '0'), 1, 1, 'old', 0, '{LEASE}', 1, '2026-02-06 00:00Z', '2099-01-01 00:00Z'
         FROM generate_series(1, {ROWS}) AS number"
    );
    run(connection, &rows).await;
}

#[tokio::test]
async fn a_claim_costs_the_same_few_pages_on_an_empty_a_never_analysed_and_an_analysed_table() {
    let database = TestDatabase::migrated(&MIGRATIONS).await;
    let connection = &mut database.open().connect_writer().await.unwrap();
    // Autovacuum would analyse the table at a moment of its own choice.
    let prepared = format!(
        "ALTER TABLE coupons SET (autovacuum_enabled = false);
         INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at) VALUES (0, '{LEASE}', 1, 'issuance-0', '2026-02-06 00:00Z');
         INSERT INTO lease_tiers (lane, lease_id, tier_number, granted) VALUES (0, '{LEASE}', 0, 1000000)"
    );
    run(connection, &prepared).await;
    for (name, types, statement) in STATEMENTS {
        run(
            connection,
            &format!("PREPARE {name} ({types}) AS {statement}"),
        )
        .await;
    }
    let (mut pages, mut bad) = (Vec::new(), Vec::new());
    for state in ["empty", "never analysed", "analysed"] {
        match state {
            "never analysed" => fill(connection).await,
            "analysed" => run(connection, "ANALYZE coupons").await,
            _ => {}
        }
        // Below 0 if the table was never analysed.
        let believed =
            "SELECT (reltuples >= 0)::text FROM pg_class WHERE oid = 'coupons'::regclass";
        let is_analysed = (state == "analysed").to_string();
        assert_eq!(text(connection, believed).await, [is_analysed], "{state}");
        bad.extend(bad_plans(connection, state).await);
        pages.push(pages_per_claim(connection).await);
    }
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    let least = pages.iter().copied().fold(f64::MAX, f64::min);
    let most = pages.iter().copied().fold(0.0, f64::max);
    assert!(most <= MAX_PAGES_PER_CLAIM, "pages per claim: {pages:?}");
    assert!(most <= least * MAX_SPREAD, "pages per claim: {pages:?}");
}

#[tokio::test]
async fn a_page_of_shoppers_costs_the_same_however_few_of_its_coupons_are_of_the_campaign() {
    const PAGE: u64 = 1_000;
    let database = TestDatabase::migrated(&MIGRATIONS).await;
    let connection = &mut database.open().connect_writer().await.unwrap();
    fill(connection).await;
    let (_, types, statement) = statement!(
        "list_shoppers",
        "smallint, text, integer, smallint, integer, bigint"
    );
    run(
        connection,
        &format!("PREPARE page ({types}) AS {statement}"),
    )
    .await;
    let middle = shopper(BATCH / 2);
    for analysed in [false, true] {
        if analysed {
            run(connection, "ANALYZE coupons").await;
        }
        for campaign in [1, 2] {
            let page = format!("EXECUTE page (0, '{middle}', 1, 1::smallint, {campaign}, {PAGE})");
            let plan = executed(connection, &page).await;
            let told = plan.join("\n");
            let by_key = plan.iter().any(|line| {
                line.contains("Index Cond:")
                    && line.contains("lane = ")
                    && line.contains("ROW(shopper_id")
            });
            assert!(by_key, "does not begin at the key:\n{told}");
            assert!(!told.contains("Sort"), "{told}");
            // Each coupon is on a page of the table that its neighbours share.
            let pages = first_buffers(&plan);
            assert!(pages < PAGE / 4, "{pages} pages:\n{told}");
        }
    }
}
