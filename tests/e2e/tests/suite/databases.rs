//! What the services need of their databases, and what they do when another one takes over.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use futures_util::future::join_all;
use sqlx::{ConnectOptions as _, PgConnection};
use tidegate_client::soon;
use tidegate_e2e::{ISSUANCES, Suite};
use tidegate_local::stack::{Service, connections_of};

const SHOPPERS: usize = 60;
const LOOKS: usize = 40;

/// Connections by the application that has them.
async fn connections(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT application_name, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY application_name",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_no_more_database_connections_than_its_readme_says() -> Result<()> {
    let suite = Suite::start_with(|options| options.issuance_replicas = 1).await?;
    let staff = &suite.staff;
    suite.open("tea", 10_000).await?;
    staff.make_store().await?;
    let mut connection = suite.stack.postgres().superuser().connect().await?;
    let mut most = BTreeMap::new();
    let looking = async {
        for _ in 0..LOOKS {
            for (application, count) in connections(&mut connection).await? {
                let seen = most.entry(application).or_insert(count);
                *seen = count.max(*seen);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let shoppers = join_all((0..SHOPPERS).map(async |number| {
        let shopper = format!("shopper-{number}");
        let code = suite.coupon("tea", &shopper).await?;
        suite.check(&shopper, &code).await?;
        let order = suite.order(&shopper, "o-1", &code).await?;
        suite.read(&order).await?;
        staff.read("tea").await?;
        staff.differences("tea").await?;
        anyhow::Ok(())
    }));
    let (looked, served) = tokio::join!(looking, shoppers);
    looked?;
    let served = served.into_iter().filter(Result::is_ok).count();
    assert!(served > SHOPPERS / 2, "{served} of {SHOPPERS}");
    let lanes = suite.stack.options().lanes;
    for service in [Service::Quota, Service::Issuance, Service::OrderIntake] {
        let seen = most[&format!("tidegate-{}", service.name())];
        let told = i64::from(connections_of(service, lanes));
        println!("{} takes {seen} of {told}", service.name());
        assert!(seen <= told, "{}: {seen} of {told}", service.name());
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_another_database_takes_over_open_leases_are_sealed_and_claims_go_on() -> Result<()> {
    let mut suite = Suite::start().await?;
    suite.open("tea", 10_000).await?;
    for number in 0..20 {
        suite.coupon("tea", &format!("before-{number}")).await?;
    }
    suite.stack.postgres_mut().stop().await?;
    suite.stack.postgres().begin_timeline().await?;
    suite.stack.postgres_mut().start().await?;
    for number in 0..20 {
        let shopper = format!("after-{number}");
        soon(|| suite.claim("tea", &shopper, "r-1")).await?;
    }
    // Whichever replica is back first seals the leases of both.
    let mut logs = String::new();
    for replica in ISSUANCES {
        logs += &std::fs::read_to_string(suite.stack.replica(replica)?.log())?;
    }
    assert!(logs.contains("was sealed anew"), "{logs}");
    assert_eq!(suite.staff.differences("tea").await?, [""; 0]);
    suite.end().await
}
