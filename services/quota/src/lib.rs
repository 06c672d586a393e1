//! Quota: owns campaigns, their stock, who holds it, and who waits for it.

pub mod audit;
pub mod campaigns;
mod config;
pub mod control;
pub mod domain;
pub mod error;
pub mod fence;
mod grpc;
pub mod history;
pub mod issuance;
pub mod leases;
pub mod metrics;
mod outage;
pub mod queues;
pub mod reclaim;
pub mod staff;
pub mod store;
mod told;
pub mod wake;
pub mod watch;

use std::sync::Arc;

use sqlx::migrate::Migrator;
use tidegate_auth::{Identity, TokenVerifier};
use tidegate_rpc::{
    client::Replicas,
    server::{AccessRules, DatabaseLook},
};
use tidegate_runtime::{Failure, Host, Service};
use tokio::sync::watch::channel;

pub use config::Config;
pub use grpc::RULES;

use crate::{
    audit::Auditor, campaigns::Campaigns, control::Controls, fence::Fencer, grpc::UseCases,
    history::History, issuance::IssuanceClient, leases::Leases, metrics::Metrics, queues::Queues,
    reclaim::Reclaimer, store::Store, wake::Wake, watch::Watch,
};

/// Calls in flight at once; further ones are refused before their body is read. Watch streams count until they begin.
const MAX_CALLS_IN_FLIGHT: usize = 1_024;
/// Connections to the database; calls beyond wait for one for as long as the pool lets them.
const MAX_DATABASE_CONNECTIONS: u32 = 16;
/// Of these, those that are for audits and for what is over alone: however long these take, nobody else waits for them.
const BACKGROUND_CONNECTIONS: u32 = 3;
const FOREGROUND_CONNECTIONS: u32 = MAX_DATABASE_CONNECTIONS - BACKGROUND_CONNECTIONS;

pub fn migrations() -> Migrator {
    sqlx::migrate!()
}

pub async fn migrate(config: Config) -> Result<(), Failure> {
    Ok(config.database.migrate(&migrations()).await?)
}

/// Makes the service. Fails with a sentence if the database cannot be reached, would not survive a crash, or lacks migrations.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    let database = check_database(&config).await?;
    let tokens = Arc::new(TokenVerifier::load(config.tokens)?);
    let stop = host.stop.clone();
    let issuance = find_issuance(config.issuance_addresses, &mut host).await;
    let tasks = &mut host.supervisor;
    tasks.start("token key reloader", Arc::clone(&tokens).keep_fresh());

    let store = Store::new(config.database.pool(FOREGROUND_CONNECTIONS));
    let (watch, poller) = Watch::new(store.clone(), stop.clone());
    tasks.start("poller of campaigns", poller);
    let metrics = Metrics::register(&mut host.registry, watch.clone());
    let leases = Leases::new(store.clone(), metrics.clone());
    let (wake, fence_wake) = (Wake::default(), Wake::default());
    let reclaimer = Reclaimer {
        store: store.clone(),
        leases: leases.clone(),
        issuance: issuance.clone(),
        metrics: metrics.clone(),
        wake: wake.clone(),
    };
    tasks.start("reclaimer", reclaimer.run(config.lease_ttl, stop.clone()));
    let fencer = Fencer {
        store: store.clone(),
        issuance: issuance.clone(),
        wake: fence_wake.clone(),
    };
    tasks.start("fencer", fencer.run(stop.clone()));
    let background = Store::new(config.database.pool(BACKGROUND_CONNECTIONS));
    let history = History {
        store: background.clone(),
        issuance: issuance.clone(),
        metrics: metrics.clone(),
        retention: config.lease_retention,
    };
    tasks.start("keeper of history", history.run(stop.clone()));
    let auditor = Auditor::new(background.clone(), issuance);
    let (audits, every) = (auditor.clone(), config.audit_interval);
    tasks.start("auditor", audits.run(metrics.clone(), every, stop.clone()));
    let queues = Queues::new(store.clone(), metrics.clone());
    tasks.start("tidier of queues", queues.clone().keep_tidy(stop));

    let use_cases = UseCases {
        campaigns: Campaigns::new(store.clone()),
        controls: Controls {
            store: store.clone(),
            reclaimer: wake,
            fencer: fence_wake,
        },
        auditor,
        leases,
        queues,
        watch,
        metrics,
    };
    let service = Service {
        names: grpc::SERVICE_NAMES,
        routes: Box::new(move |routes| grpc::add(routes, use_cases)),
        of_streams: None,
        access: AccessRules::with_tokens(RULES, tokens, Some(Identity::Staff)),
        max_in_flight: MAX_CALLS_IN_FLIGHT,
        database: Some(database),
        ready: channel(true).1,
        // Transactions run on when their caller has gone; closing waits for them.
        finish: Box::pin(async move {
            store.close().await;
            background.close().await;
        }),
    };
    Ok((service, host))
}

async fn find_issuance(addresses: Vec<String>, host: &mut Host) -> IssuanceClient {
    let tls = Arc::clone(&host.tls);
    let (replicas, resolver) = Replicas::find(addresses, Identity::Issuance, tls).await;
    host.supervisor.start("resolver of issuance", resolver);
    IssuanceClient::new(replicas)
}

/// Makes sure that the database can be used; how it is, for staff who ask.
async fn check_database(config: &Config) -> Result<DatabaseLook, Failure> {
    config.database.check_durability().await?;
    if config.migrate_on_start {
        config.database.migrate(&migrations()).await?;
    } else {
        config.database.check_schema(&migrations()).await?;
    }
    let database = config.database.clone();
    Ok(Arc::new(move || {
        let database = database.clone();
        Box::pin(async move {
            let looked = database.look(&migrations()).await;
            looked.map_err(|error| error.to_string())
        })
    }))
}
