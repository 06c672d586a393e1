//! What statements beside a long history touch.

use sqlx::{Executor as _, Row as _};

use crate::{
    database::TestDatabase,
    giveaway::{Giveaway, request},
    history::fill,
    issuance::Issuance,
};

/// The pages that a statement touches, and its plan.
fn pages(
    database: &TestDatabase,
    types: &'static str,
    statement: &'static str,
    arguments: &'static str,
) -> impl Future<Output = (u64, String)> + Send + use<> {
    let pool = database.pool.clone();
    async move {
        let mut connection = pool.acquire().await.unwrap().detach();
        for words in [
            format!("PREPARE measured ({types}) AS {statement}"),
            "BEGIN".to_owned(),
        ] {
            connection.execute(&*words).await.unwrap();
        }
        let explain = format!(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE measured ({arguments})"
        );
        let plan = connection.fetch_all(&*explain).await.unwrap();
        connection.execute("ROLLBACK").await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let buffers = plan
            .iter()
            .find_map(|line| line.trim().strip_prefix("Buffers: "))
            .unwrap();
        let touched = buffers.split([' ', '=']);
        let touched = touched.filter_map(|word| word.parse::<u64>().ok()).sum();
        (touched, plan.join("\n"))
    }
}

#[tokio::test]
async fn neither_books_nor_readings_of_holders_read_what_is_archived() {
    let (giveaway, campaign) = Giveaway::of(&[100_000]).await;
    let (issuance, _) = Issuance::start().await;
    fill(&giveaway, &issuance).await;
    giveaway.acquire(&request(campaign.number, &[], 5)).await;
    let statements = [
        (
            "integer",
            include_str!("../../queries/audit_books.sql"),
            "1",
        ),
        (
            "integer",
            include_str!("../../queries/read_lending.sql"),
            "1",
        ),
        (
            "integer",
            include_str!("../../queries/read_update_facts.sql"),
            "1",
        ),
        (
            "integer[]",
            include_str!("../../queries/read_standings.sql"),
            "ARRAY[1]",
        ),
        (
            "bigint",
            include_str!("../../queries/read_holders.sql"),
            "100",
        ),
        (
            "timestamptz, bigint",
            include_str!("../../queries/archive_leases.sql"),
            "'2099-01-01 00:00Z', 100",
        ),
        (
            "timestamptz, bigint",
            include_str!("../../queries/campaigns_to_retire.sql"),
            "'2099-01-01 00:00Z', 100",
        ),
    ];
    for analysed in [false, true] {
        if analysed {
            giveaway.database.execute("ANALYZE").await;
        }
        for (types, statement, arguments) in statements {
            let (pages, plan) = pages(&giveaway.database, types, statement, arguments).await;
            assert!(pages < 60, "{pages} pages, analysed: {analysed}\n{plan}");
        }
    }
}
