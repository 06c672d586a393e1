//! The audit on small databases with the services' own schemas: sound books hold, and every kind of wrong row is found.

mod answers;

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection, Executor, PgConnection};
use tidegate_local::{
    audit::{Audit, Books, Subject},
    postgres::{Database, Postgres, PostgresOptions},
    replay::ledger::{Ledger, ToldStanding},
};
use time::macros::datetime;

use answers::{dishonest_answers_are_found, wrong_answers_are_found};

/// Campaign 1, slot 1, key 1, and a MAC of zeroes.
const CODE: &str = "000020J000000000";
const ORDER: &str = "00000000-0000-0000-0000-0000000000aa";

const QUOTA: &str = "
    INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at)
        VALUES ('day', 'CNY', 1, '2026-01-01', '2027-01-01', 60, '2026-01-01');
    INSERT INTO tiers VALUES (1, 0, 'tea', 2500, 5, 5, 2, 3, 0);
    INSERT INTO leases VALUES ('00000000-0000-0000-0000-000000000001', 1, 0, 'issuance-0', array_fill(0, ARRAY[16]), 3, '2026-01-01');
    INSERT INTO lease_tiers VALUES ('00000000-0000-0000-0000-000000000001', 0, 3, NULL);
";
const ISSUANCE: &str = "
    INSERT INTO leases VALUES (0, '00000000-0000-0000-0000-000000000001', 1, 'issuance-0', FALSE, '2026-01-01');
    INSERT INTO lease_tiers VALUES (0, '00000000-0000-0000-0000-000000000001', 0, 3, 1, FALSE);
    INSERT INTO coupons VALUES (0, 'run-7', 1, 1, 'claim-1', NULL, 0, '00000000-0000-0000-0000-000000000001', 1,
        '2026-01-01', '2027-01-01', '00000000-0000-0000-0000-0000000000aa', '2026-01-01');
";
const ORDERS: &str = "
    INSERT INTO stores (store_id, display_name, area, orders_per_slot) VALUES ('store-1', 'Tea', 'centre', 1);
    INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, discount_minor_units, created_at, updated_at)
        VALUES (0, 'run-7', 'order-1', '00000000-0000-0000-0000-0000000000aa', 'store-1', 'centre', '2026-01-01', 1, 2, '000020J000000000',
            decode(repeat('00', 32), 'hex'), 2500, '2026-01-01', '2026-01-01');
    INSERT INTO store_slots VALUES ('store-1', '2026-01-01', 1, 1, 1);
    INSERT INTO feed_heads VALUES (0, 2);
    INSERT INTO order_events
        SELECT '2026-01-01', lane, position, order_id, shopper_id, store_id, area, position, NULL, '2026-01-01', slot_starts_at, slot_minutes, '2026-01-01'
        FROM orders, generate_series(1, 2) AS position;
";

async fn database(
    postgres: &Postgres,
    database: Database,
    service: &str,
    rows: &str,
) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(&postgres.database_url(database)).await?;
    connection
        .execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await?;
    let folder = format!(
        "{}/../../services/{service}/migrations",
        env!("CARGO_MANIFEST_DIR")
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
    connection.execute(rows).await?;
    Ok(connection)
}

/// Audits the sound books after a change to each database.
async fn audit(
    postgres: &Postgres,
    ledger: &Ledger,
    [quota, issuance, orders]: [&str; 3],
) -> Result<Audit> {
    let mut books = Books {
        quota: database(postgres, Database::Quota, "quota", QUOTA).await?,
        issuance: database(postgres, Database::Issuance, "issuance", ISSUANCE).await?,
        order_intake: database(postgres, Database::OrderIntake, "order-intake", ORDERS).await?,
    };
    books.quota.execute(quota).await?;
    books.issuance.execute(issuance).await?;
    books.order_intake.execute(orders).await?;
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
    audit
        .promises()
        .iter()
        .flat_map(|(promise, finding)| {
            finding
                .wrong()
                .map(move |(name, _)| format!("{promise}: {name}"))
        })
        .collect()
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
    let mut postgres = Postgres::prepare(
        PostgresOptions {
            external_url: None,
            ..PostgresOptions::new(folder.path())
        },
        &|_| (),
    )
    .await?;
    postgres.start().await?;

    let sound = audit(&postgres, &sound_ledger(), [""; 3]).await?;
    assert!(sound.holds(), "{:?}", wrong(&sound));
    assert_eq!(sound.never_oversold.count("coupons"), Some(1));
    assert_eq!(sound.acked_is_kept.count("coupons_told"), Some(1));
    assert_eq!(sound.redeemed_once.count("orders_accepted"), Some(1));

    let second_coupon = |request: &str, slot: u8| {
        format!(
            "ALTER TABLE coupons DROP CONSTRAINT coupons_pkey; UPDATE lease_tiers SET used = 2;
             INSERT INTO coupons VALUES (0, 'run-7', 1, {slot}, '{request}', NULL, 0, '00000000-0000-0000-0000-000000000001', 1, '2026-01-01', '2027-01-01')"
        )
    };
    let (same_request, other_request) = (second_coupon("claim-1", 2), second_coupon("claim-2", 2));
    let broken: [([&str; 3], &str); 15] = [
        (
            [
                "ALTER TABLE tiers DROP CONSTRAINT tiers_conserve_stock; UPDATE tiers SET free = 3",
                "",
                "",
            ],
            "never-oversold: wrong_tiers_that_do_not_add_up",
        ),
        (
            [
                "ALTER TABLE tiers DROP CONSTRAINT tiers_free_is_not_negative; UPDATE tiers SET free = -1, leased = 6",
                "",
                "",
            ],
            "never-oversold: wrong_tiers_below_zero",
        ),
        (
            ["UPDATE tiers SET free = 1, leased = 4", "", ""],
            "never-oversold: wrong_tiers_that_differ_from_their_leases",
        ),
        (
            ["", "UPDATE lease_tiers SET used = 2", ""],
            "never-oversold: wrong_leases_whose_use_is_not_their_coupons",
        ),
        (
            [
                "",
                "ALTER TABLE lease_tiers DROP CONSTRAINT lease_tiers_never_overspent; UPDATE lease_tiers SET granted = 0",
                "",
            ],
            "never-oversold: wrong_leases_overspent",
        ),
        (
            ["", "UPDATE lease_tiers SET granted = 4", ""],
            "never-oversold: wrong_leases_larger_than_granted",
        ),
        (
            ["DELETE FROM lease_tiers", "", ""],
            "never-oversold: wrong_leases_that_quota_never_granted",
        ),
        (
            [
                "UPDATE leases SET settled_at = '2026-01-02'; UPDATE lease_tiers SET used = 0; UPDATE tiers SET free = 5, leased = 0",
                "",
                "",
            ],
            "never-oversold: wrong_leases_settled_with_another_use",
        ),
        (
            ["", "UPDATE coupons SET tier_number = 1", ""],
            "never-oversold: wrong_coupons_beyond_stock",
        ),
        (
            ["", &same_request, ""],
            "exactly-once: wrong_claims_with_two_coupons",
        ),
        (
            ["", &other_request, ""],
            "exactly-once: wrong_shoppers_over_the_limit",
        ),
        (
            ["", "DELETE FROM coupons", ""],
            "acked-is-kept: wrong_coupons_lost",
        ),
        (
            ["", "", "DELETE FROM orders"],
            "acked-is-kept: wrong_orders_lost",
        ),
        (
            [
                "",
                "",
                "UPDATE orders SET state = 3, rejected_because = 'X', rejection_metadata = '{}'",
            ],
            "acked-is-kept: wrong_accepted_orders_taken_back",
        ),
        (
            [
                "",
                "UPDATE coupons SET order_id = NULL, redeemed_at = NULL",
                "",
            ],
            "redeemed-once: wrong_accepted_orders_not_paid_for",
        ),
    ];
    for (changes, expected) in broken {
        let found = audit(&postgres, &sound_ledger(), changes).await?;
        assert!(
            wrong(&found).iter().any(|name| name == expected) && !found.holds(),
            "{expected} is missing in {:?}",
            wrong(&found)
        );
    }
    wrong_orders_are_found(&postgres).await?;
    wrong_answers_are_found(&postgres).await?;
    overfull_stores_are_found(&postgres).await?;
    dishonest_answers_are_found(&postgres).await?;
    postgres.stop().await?;
    postgres.remove_data().await
}

async fn wrong_orders_are_found(postgres: &Postgres) -> Result<()> {
    let second_order = "DROP INDEX orders_one_paid_per_coupon_of_shopper;
        INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, state, coupon_code, content_hash, created_at, updated_at)
            SELECT lane, shopper_id, 'order-2', '00000000-0000-0000-0000-0000000000bb', store_id, area, state, coupon_code, content_hash, created_at, updated_at FROM orders";
    let copied_request = "ALTER TABLE orders DROP CONSTRAINT orders_key; DROP INDEX orders_one_paid_per_coupon_of_shopper;
        INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, state, coupon_code, content_hash, created_at, updated_at)
            SELECT lane, shopper_id, request_id, '00000000-0000-0000-0000-0000000000bb', store_id, area, state, coupon_code, content_hash, created_at, updated_at FROM orders";
    let same_code = "INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, state, coupon_code, content_hash, created_at, updated_at)
            SELECT lane, 'run-8', request_id, '00000000-0000-0000-0000-0000000000bb', store_id, area, state, coupon_code, content_hash, created_at, updated_at FROM orders";
    let found = audit(postgres, &sound_ledger(), ["", "", same_code]).await?;
    assert!(
        !wrong(&found).contains(&"redeemed-once: wrong_coupons_that_paid_for_two_orders".into()),
        "two shoppers may have the same code"
    );
    let paid_twice = "UPDATE lease_tiers SET used = 2; INSERT INTO coupons SELECT lane, 'run-8', 1, 1, 'claim-1', NULL, 0, lease_id, 1, issued_at, valid_until, order_id, redeemed_at FROM coupons";
    let broken = [
        (
            ["", "", second_order],
            "redeemed-once: wrong_coupons_that_paid_for_two_orders",
        ),
        (
            ["", "", copied_request],
            "redeemed-once: wrong_requests_with_two_orders",
        ),
        (
            ["", paid_twice, ""],
            "redeemed-once: wrong_orders_paid_for_twice",
        ),
        (
            ["", "UPDATE coupons SET shopper_id = 'run-9'", ""],
            "redeemed-once: wrong_orders_paid_for_by_another_shopper",
        ),
        (
            ["", "", "DELETE FROM orders"],
            "redeemed-once: wrong_redeemed_coupons_without_an_accepted_order",
        ),
        (
            [
                "",
                "",
                "UPDATE orders SET state = 7, coupon_released_at = '2026-01-02'",
            ],
            "redeemed-once: wrong_cancelled_orders_that_hold_a_coupon",
        ),
    ];
    for (changes, expected) in broken {
        let found = audit(postgres, &sound_ledger(), changes).await?;
        assert!(
            wrong(&found).iter().any(|name| name == expected),
            "{expected} is missing in {:?}",
            wrong(&found)
        );
    }
    Ok(())
}

async fn overfull_stores_are_found(postgres: &Postgres) -> Result<()> {
    let broken = [
        (
            "UPDATE store_slots SET booked = 0, capacity_when_booked = 0",
            "wrong_slots_above_capacity",
        ),
        (
            "DELETE FROM store_slots",
            "wrong_slots_whose_bookings_are_not_their_orders",
        ),
        (
            "UPDATE store_slots SET capacity_when_booked = 2",
            "wrong_slots_with_another_capacity_than_staff_said",
        ),
        (
            "DELETE FROM order_events WHERE position = 2; UPDATE feed_heads SET last_position = 1",
            "wrong_orders_whose_changes_the_feed_does_not_tell",
        ),
        (
            "UPDATE order_events SET state = 3 - state",
            "wrong_orders_whose_changes_the_feed_does_not_tell",
        ),
        (
            "UPDATE order_events SET order_id = '00000000-0000-0000-0000-0000000000bb'",
            "wrong_orders_that_only_the_feed_knows",
        ),
        (
            "UPDATE order_events SET position = 3 WHERE position = 2; UPDATE feed_heads SET last_position = 3",
            "wrong_lanes_with_gaps",
        ),
        (
            "UPDATE feed_heads SET last_position = 3",
            "wrong_lanes_with_gaps",
        ),
        (
            "UPDATE orders SET order_id = '00000000-0000-0000-0000-0000000000bb'",
            "wrong_accepted_orders_that_fulfilment_never_heard_of",
        ),
    ];
    for (change, expected) in broken {
        let found = wrong(&audit(postgres, &sound_ledger(), ["", "", change]).await?);
        let expected = format!("stores-survive: {expected}");
        assert!(
            found.contains(&expected),
            "{expected} is missing in {found:?}"
        );
    }
    Ok(())
}
