//! What the hot statements cost, by the shape of their plans and the pages they touch, never by time.

use anyhow::{Context as _, Result, ensure};
use sqlx::{PgConnection, Row as _};

use crate::database::TestDatabase;

const BATCH: usize = 200;
const ROWS: usize = 200_000;
/// A probe of a B-tree of three levels, an insertion into the table and the tree, and some room.
const MAX_PAGES_PER_CLAIM: f64 = 24.0;
/// How much more a claim may cost in the worst state of the table than in the best one.
const MAX_SPREAD: f64 = 4.0;
const LEASE: &str = "00000000-0000-7000-8000-000000000001";

const STATEMENTS: [(&str, &str, &str); 9] = [
    (
        "issue_coupons",
        "smallint, text[], integer[], text[], smallint[], smallint[], uuid[], smallint[], timestamptz[], text[], smallint, timestamptz",
        include_str!("../../queries/issue_coupons.sql"),
    ),
    (
        "redeem_coupons",
        "smallint, text[], integer[], smallint[], uuid[], timestamptz, integer[], timestamptz[]",
        include_str!("../../queries/redeem_coupons.sql"),
    ),
    (
        "revoke_coupons",
        "smallint, text[], integer[], smallint[], text[], timestamptz",
        include_str!("../../queries/revoke_coupons.sql"),
    ),
    (
        "release_coupons",
        "smallint, text[], integer[], smallint[], uuid[], timestamptz, timestamptz[], interval, integer",
        include_str!("../../queries/release_coupons.sql"),
    ),
    (
        "read_coupons",
        "smallint, text[], integer[], smallint[]",
        include_str!("../../queries/read_coupons.sql"),
    ),
    (
        "read_claim",
        "smallint, text, integer, text",
        include_str!("../../queries/read_claim.sql"),
    ),
    (
        "list_coupons",
        "smallint, text, integer, smallint, integer, bigint",
        include_str!("../../queries/list_coupons.sql"),
    ),
    (
        "find_coupon",
        "smallint, text, integer, smallint",
        include_str!("../../queries/find_coupon.sql"),
    ),
    (
        "find_coupons_of_shopper",
        "smallint, text, timestamptz, integer, smallint, bigint",
        include_str!("../../queries/find_coupons_of_shopper.sql"),
    ),
];

/// An array of `BATCH` elements as SQL text.
fn array(element: impl Fn(usize) -> String) -> String {
    let elements: Vec<_> = (0..BATCH).map(element).collect();
    format!("'{{{}}}'", elements.join(","))
}

/// Shoppers spread over the whole table, sorted as the commit queue sorts them.
fn shopper(place: usize) -> String {
    format!("s-{:06}", (place + 1) * (ROWS / BATCH))
}

fn arguments(statement: &str) -> String {
    let (shoppers, ones) = (array(shopper), array(|_| "1".into()));
    let zeros = array(|_| "0".into());
    let orders = array(|place| format!("00000000-0000-4000-8000-{place:012}"));
    match statement {
        "issue_coupons" => {
            let (requests, leases) = (
                array(|place| format!("new-{place}")),
                array(|_| LEASE.into()),
            );
            let (limits, ends) = (array(|_| "2".into()), array(|_| "2099-01-01 00:00Z".into()));
            let nothing = array(|_| "NULL".into());
            format!(
                "0, {shoppers}, {ones}, {requests}, {nothing}, {zeros}, {leases}, {limits}, {ends}, {nothing}, 1, '2026-02-06 00:00Z'"
            )
        }
        "redeem_coupons" => {
            let (tiers, extensions) = (array(|_| "65535".into()), array(|_| "NULL".into()));
            format!(
                "0, {shoppers}, {ones}, {ones}, {orders}, '2026-02-06 00:00Z', {tiers}, {extensions}"
            )
        }
        "revoke_coupons" => {
            let reasons = array(|_| "mistake".into());
            format!("0, {shoppers}, {ones}, {ones}, {reasons}, '2026-02-06 00:00Z'")
        }
        "release_coupons" => {
            let extensions = array(|_| "NULL".into());
            format!(
                "0, {shoppers}, {ones}, {ones}, {orders}, '2026-02-06 00:00Z', {extensions}, '7 days', 32, {extensions}"
            )
        }
        "read_coupons" => format!("0, {shoppers}, {ones}, {ones}"),
        "read_claim" => format!("0, '{}', 1, 'old'", shopper(7)),
        "find_coupon" => format!("0, '{}', 1, 1::smallint", shopper(7)),
        "find_coupons_of_shopper" => {
            let before = "'2099-01-01 00:00Z', 1, 1::smallint";
            format!("0, '{}', {before}, 101", shopper(7))
        }
        _ => format!("0, '{}', 2147483647, 255::smallint, 0, 21", shopper(7)),
    }
}

/// A page of shoppers, and what the database may touch for it.
const LIST_SHOPPERS: &str = include_str!("../../queries/list_shoppers.sql");
const SHOPPERS_PAGE: usize = 1_000;

async fn text(connection: &mut PgConnection, statement: &str) -> Result<Vec<String>> {
    let rows = sqlx::raw_sql(statement).fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?)
}

pub async fn run(connection: &mut PgConnection, statement: &str) -> Result<()> {
    sqlx::raw_sql(statement).execute(connection).await?;
    Ok(())
}

async fn prepare(connection: &mut PgConnection) -> Result<()> {
    for (name, types, statement) in STATEMENTS {
        run(
            connection,
            &format!("PREPARE {name} ({types}) AS {statement}"),
        )
        .await?;
    }
    Ok(())
}

/// Every access to the coupons is a probe of the primary key by shopper, and nothing is joined by building or sorting a whole side.
fn check_shape(plan: &[String]) -> Result<()> {
    let mut probes = 0;
    for (number, line) in plan.iter().enumerate() {
        let node = line.trim_start().trim_start_matches("->").trim_start();
        let joins_whole_sides = node.starts_with("Hash") || node.starts_with("Merge");
        ensure!(!joins_whole_sides, "joins whole sides: {node}");
        if !node.contains(" on coupons") || node.starts_with("Insert") || node.starts_with("Update")
        {
            continue;
        }
        let by_key = [
            "Index Scan",
            "Index Scan Backward",
            "Index Only Scan",
            "Index Only Scan Backward",
        ]
        .iter()
        .any(|scan| node.starts_with(&format!("{scan} using coupons_pkey on coupons")));
        ensure!(by_key, "reads coupons by other means than the key: {node}");
        let condition = plan.get(number + 1).map_or("", |next| next.trim());
        let by_shopper =
            condition.starts_with("Index Cond:") && condition.contains("shopper_id = ");
        ensure!(
            by_shopper,
            "reads more than one shopper's coupons: {condition}"
        );
        probes += 1;
    }
    ensure!(probes > 0, "does not read the coupons at all");
    Ok(())
}

/// The plans that are not as they should be, with the reason.
async fn bad_plans(connection: &mut PgConnection, state: &str) -> Result<Vec<String>> {
    let mut bad = Vec::new();
    // A statement that is run again and again is planned for its values at first and without them later.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(connection, &format!("SET plan_cache_mode = {mode}")).await?;
        for (name, _, _) in STATEMENTS {
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE {name} ({})", arguments(name));
            let plan = text(connection, &explain).await?;
            if let Err(why) = check_shape(&plan) {
                bad.push(format!(
                    "{name}, {state}, {mode}: {why}\n{}",
                    plan.join("\n")
                ));
            }
        }
    }
    run(connection, "RESET plan_cache_mode").await?;
    Ok(bad)
}

/// Pages touched per claim of a batch that issues a coupon for each.
async fn pages_per_claim(connection: &mut PgConnection) -> Result<f64> {
    run(connection, "BEGIN").await?;
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE issue_coupons ({})",
        arguments("issue_coupons")
    );
    let plan = text(connection, &explain).await?;
    let issued: i64 =
        sqlx::query_scalar("SELECT count(*) FROM coupons WHERE request_id LIKE 'new-%'")
            .fetch_one(&mut *connection)
            .await?;
    run(connection, "ROLLBACK").await?;
    ensure!(
        issued == BATCH as i64,
        "{issued} coupons were issued:\n{}",
        plan.join("\n")
    );
    let insertion = plan
        .iter()
        .position(|line| line.contains("Insert on coupons"));
    let insertion = insertion.context("the plan inserts nothing")?;
    // The insertion runs after the rest, and is not counted in the topmost node.
    let pages = first_buffers(&plan)? + first_buffers(&plan[insertion..])?;
    Ok(pages as f64 / BATCH as f64)
}

/// The pages that a prepared statement touches when it is executed.
pub async fn pages(connection: &mut PgConnection, execute: &str) -> u64 {
    let options = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF";
    let plan = text(connection, &format!("EXPLAIN ({options}) {execute}")).await;
    let plan = plan.unwrap();
    println!("{}", plan.join("\n"));
    first_buffers(&plan).unwrap()
}

fn first_buffers(plan: &[String]) -> Result<u64> {
    let line = plan
        .iter()
        .find(|line| line.trim_start().starts_with("Buffers:"));
    let line = line.context("the plan does not tell its buffers")?;
    let counts = line.split_whitespace().filter_map(|word| {
        word.strip_prefix("hit=")
            .or_else(|| word.strip_prefix("read="))?
            .parse::<u64>()
            .ok()
    });
    Ok(counts.sum())
}

async fn fill(connection: &mut PgConnection) -> Result<()> {
    run(
        connection,
        &format!(
            "INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
             SELECT 0, 's-' || lpad(number::text, 6, '0'), 1, 1, 'old', 0, '{LEASE}', 1, '2026-02-06 00:00Z', '2099-01-01 00:00Z'
             FROM generate_series(1, {ROWS}) AS number"
        ),
    )
    .await
}

/// What the planner believes; below 0 if the table was never analysed.
async fn believed_rows(connection: &mut PgConnection) -> Result<f32> {
    Ok(
        sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE oid = 'coupons'::regclass")
            .fetch_one(connection)
            .await?,
    )
}

#[tokio::test]
async fn a_claim_costs_the_same_few_pages_on_an_empty_a_never_analysed_and_an_analysed_table() {
    let database = TestDatabase::create().await.unwrap();
    let connection = &mut database.open().unwrap().connect_writer().await.unwrap();
    // Autovacuum would analyse the table at a moment of its own choice.
    run(
        connection,
        "ALTER TABLE coupons SET (autovacuum_enabled = false)",
    )
    .await
    .unwrap();
    run(
        connection,
        &format!(
            "INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at) VALUES (0, '{LEASE}', 1, 'issuance-0', '2026-02-06 00:00Z');
             INSERT INTO lease_tiers (lane, lease_id, tier_number, granted) VALUES (0, '{LEASE}', 0, 1000000)"
        ),
    )
    .await
    .unwrap();
    prepare(connection).await.unwrap();

    let (mut pages, mut bad) = (Vec::new(), Vec::new());
    for state in ["empty", "never analysed", "analysed"] {
        match state {
            "never analysed" => fill(connection).await.unwrap(),
            "analysed" => run(connection, "ANALYZE coupons").await.unwrap(),
            _ => {}
        }
        let believed = believed_rows(connection).await.unwrap();
        assert_eq!(believed >= 0.0, state == "analysed", "{state}: {believed}");
        bad.extend(bad_plans(connection, state).await.unwrap());
        pages.push(pages_per_claim(connection).await.unwrap());
    }
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    let (least, most) = pages
        .iter()
        .fold((f64::MAX, 0.0f64), |(least, most), pages| {
            (least.min(*pages), most.max(*pages))
        });
    assert!(most <= MAX_PAGES_PER_CLAIM, "pages per claim: {pages:?}");
    assert!(most <= least * MAX_SPREAD, "pages per claim: {pages:?}");
}

#[tokio::test]
async fn a_page_of_shoppers_costs_the_same_however_few_of_its_coupons_are_of_the_campaign() {
    let database = TestDatabase::create().await.unwrap();
    let connection = &mut database.open().unwrap().connect_writer().await.unwrap();
    fill(connection).await.unwrap();
    let types = "smallint, text, integer, smallint, integer, bigint";
    run(
        connection,
        &format!("PREPARE list_shoppers ({types}) AS {LIST_SHOPPERS}"),
    )
    .await
    .unwrap();
    let middle = shopper(BATCH / 2);
    for analysed in [false, true] {
        if analysed {
            run(connection, "ANALYZE coupons").await.unwrap();
        }
        for campaign in [1, 2] {
            let page = format!(
                "list_shoppers (0, '{middle}', 1, 1::smallint, {campaign}, {SHOPPERS_PAGE})"
            );
            let options = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF";
            let plan = text(connection, &format!("EXPLAIN ({options}) EXECUTE {page}")).await;
            let plan = plan.unwrap();
            let told = plan.join("\n");
            let by_key = plan.iter().any(|line| {
                line.contains("Index Cond:")
                    && line.contains("lane = ")
                    && line.contains("ROW(shopper_id")
            });
            assert!(by_key, "does not begin at the key:\n{told}");
            assert!(!told.contains("Sort"), "{told}");
            // Each coupon is on a page of the table that its neighbours share.
            let pages = first_buffers(&plan).unwrap();
            assert!(pages < SHOPPERS_PAGE as u64 / 4, "{pages} pages:\n{told}");
        }
    }
}
