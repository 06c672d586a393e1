//! What statements beside a long history touch.

use sqlx::{Connection as _, PgPool, Row as _};

use crate::{
    giveaway::{Giveaway, request},
    history::fill,
    issuance::Issuance,
};

/// The pages that a statement touches, and its plan.
async fn pages(pool: &PgPool, (types, statement, arguments): (&str, &str, &str)) -> (u64, String) {
    let mut connection = pool.acquire().await.unwrap().detach();
    let prepare = format!("PREPARE measured ({types}) AS {statement}; BEGIN");
    sqlx::raw_sql(&prepare)
        .execute(&mut connection)
        .await
        .unwrap();
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE measured ({arguments})"
    );
    let plan = sqlx::raw_sql(&explain).fetch_all(&mut connection).await;
    let plan: Vec<String> = plan.unwrap().iter().map(|row| row.get(0)).collect();
    connection.close().await.unwrap();
    let mut lines = plan.iter();
    let buffers = lines.find_map(|line| line.trim().strip_prefix("Buffers: "));
    let touched = buffers.unwrap().split([' ', '=']);
    let touched = touched.filter_map(|word| word.parse::<u64>().ok()).sum();
    (touched, plan.join("\n"))
}

#[tokio::test]
async fn neither_books_nor_readings_of_holders_read_what_is_archived() {
    let (giveaway, campaign) = Giveaway::of(&[100_000]).await;
    let (issuance, _) = Issuance::start().await;
    fill(&giveaway, &issuance).await;
    giveaway.acquire(&request(campaign.number, &[], 5)).await;
    let later = "'2099-01-01 00:00Z', 100";
    macro_rules! statement {
        ($types:literal, $name:literal, $arguments:expr) => {
            (
                $types,
                include_str!(concat!("../../queries/", $name, ".sql")),
                $arguments,
            )
        };
    }
    let statements = [
        statement!("integer", "audit_books", "1"),
        statement!("integer", "read_lending", "1"),
        statement!("integer", "read_update_facts", "1"),
        statement!("integer[]", "read_standings", "ARRAY[1]"),
        statement!("bigint", "read_holders", "100"),
        statement!("timestamptz, bigint", "archive_leases", later),
        statement!("timestamptz, bigint", "campaigns_to_retire", later),
    ];
    for analysed in [false, true] {
        if analysed {
            giveaway.database.execute("ANALYZE").await;
        }
        for statement in statements {
            let (pages, plan) = pages(&giveaway.pool, statement).await;
            assert!(pages < 60, "{pages} pages, analysed: {analysed}\n{plan}");
        }
    }
}
