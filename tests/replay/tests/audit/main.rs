//! The audit on small databases with the services' own schemas: sound books hold, and every kind of wrong row is found.

mod answers;

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection};
use tidegate_local::{
    postgres::{Postgres, PostgresOptions},
    stack::Service,
};
use tidegate_replay::{
    audit::{Audit, Books, Subject},
    ledger::{Ledger, ToldStanding},
};
use time::macros::datetime;

use answers::{dishonest_answers_are_found, wrong_answers_are_found};

/// Campaign 1, slot 1, key 1, and a MAC of zeroes.
const CODE: &str = "000020J000000000";
const SOUND: &str = include_str!("sound.sql");
const FAULTS: &str = include_str!("faults.sql");
const ORDER: &str = "00000000-0000-0000-0000-0000000000aa";

async fn database(postgres: &Postgres, service: Service, change: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(&postgres.database_url(service)).await?;
    connection
        .execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await?;
    let folder = format!(
        "{}/../../services/{}/migrations",
        env!("CARGO_MANIFEST_DIR"),
        service.name()
    );
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .context(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for file in files {
        connection
            .execute(std::fs::read_to_string(file)?.as_str())
            .await?;
    }
    let rows = SOUND
        .split("\n--- ")
        .find_map(|rows| rows.strip_prefix(service.name()));
    connection.execute(rows.context("no rows")?).await?;
    connection.execute(change).await?;
    Ok(connection)
}

/// Audits the sound books after a change to each database.
async fn audit(
    postgres: &Postgres,
    ledger: &Ledger,
    [quota, issuance, orders]: [&str; 3],
) -> Result<Audit> {
    let mut books = Books {
        quota: database(postgres, Service::Quota, quota).await?,
        issuance: database(postgres, Service::Issuance, issuance).await?,
        order_intake: database(postgres, Service::OrderIntake, orders).await?,
    };
    let subject = Subject {
        campaign_number: 1,
        limit_per_shopper: 1,
        shopper_prefix: "run-".to_owned(),
        orders_per_slot: 1,
        stock: 5,
        started_at: datetime!(2026-01-01 00:00 UTC),
        opening: Duration::ZERO,
    };
    books.audit(&subject, ledger, &ledger.told()).await
}

fn wrong(audit: &Audit) -> Vec<String> {
    let promises = audit.promises().into_iter();
    let wrong = promises.flat_map(|(promise, finding)| {
        let names = finding.wrong().map(|(name, _)| name);
        names.map(move |name| format!("{promise}: {name}"))
    });
    wrong.collect()
}

fn sound_ledger() -> Ledger {
    let ledger = Ledger::new("run");
    ledger.coupon(7, 1, CODE);
    ledger.order(7, ORDER, CODE, ToldStanding::Accepted);
    ledger.heard(ORDER);
    ledger
}

#[tokio::test]
async fn sound_books_hold_and_every_wrong_row_is_found_under_its_promise() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = PostgresOptions {
        external_url: None,
        ..PostgresOptions::new(folder.path())
    };
    let mut postgres = Postgres::prepare(options, &|_| ()).await?;
    postgres.start().await?;

    let sound = audit(&postgres, &sound_ledger(), [""; 3]).await?;
    assert!(sound.holds(), "{:?}", wrong(&sound));
    assert_eq!(sound.never_oversold.count("coupons"), Some(1));
    assert_eq!(sound.acked_is_kept.count("coupons_told"), Some(1));
    assert_eq!(sound.redeemed_once.count("orders_accepted"), Some(1));

    let faults: Vec<_> = FAULTS.split("\n--- ").skip(1).collect();
    assert_eq!(faults.len(), 30);
    for fault in faults {
        let (what, change) = fault.split_once('\n').context(fault)?;
        let (database, expected) = what.split_once(' ').context(fault)?;
        let of = |name| if database == name { change } else { "" };
        let changes = ["quota", "issuance", "orders"].map(of);
        let found = wrong(&audit(&postgres, &sound_ledger(), changes).await?);
        let is_found = found.iter().any(|name| name == expected);
        assert!(is_found, "{expected} is missing in {found:?}");
    }
    let same_code = "INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at)
        SELECT lane, 'run-8', request_id, '00000000-0000-0000-0000-0000000000bb', store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at FROM orders";
    let found = wrong(&audit(&postgres, &sound_ledger(), ["", "", same_code]).await?);
    let mut twice = found
        .iter()
        .filter(|name| name.contains("paid_for_two_orders"));
    assert_eq!(twice.next(), None, "two shoppers may have the same code");
    wrong_answers_are_found(&postgres).await?;
    dishonest_answers_are_found(&postgres).await?;
    postgres.stop().await?;
    postgres.remove_data().await
}
