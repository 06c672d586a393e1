//! Order-intake: makes orders durable, pays them with coupons, and tells what became of them. See
//! the README.

mod audit;
mod close;
mod config;
mod domain;
mod error;
mod feed;
mod finish;
mod grpc;
mod issuance;
mod metrics;
mod moves;
mod nearby;
mod place;
mod recover;
mod redeem;
mod release;
mod retention;
mod store;
mod sweeps;
mod verify;
mod watch;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use futures_util::future::join_all;
use tidegate_auth::{Identity, TokenVerifier};
use tidegate_pg::{Database, QueueMetrics};
use tidegate_rpc::{
    client::Replicas,
    server::{AccessRules, DatabaseLook},
};
use tidegate_runtime::{DetachedWork, Failure, Host, Service};
use tidegate_types::{Lanes, Timestamp};
use tokio::sync::watch as watch_channel;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use grpc::RULES;

use self::{
    audit::Auditor,
    close::Closer,
    domain::{GatewayMeans, RetentionPeriod},
    feed::Feed,
    finish::Finisher,
    grpc::{SERVICE_NAMES, Server, limits},
    issuance::Issuance,
    metrics::Metrics,
    moves::Mover,
    nearby::Nearby,
    place::Placer,
    recover::Recovery,
    redeem::Redeemer,
    release::Releaser,
    retention::{CampaignEnds, Retention},
    store::{Store, migrations},
    verify::Verifier,
    watch::Watcher,
};

/// Calls in flight at once; each PlaceOrders call carries up to 500 orders.
const MAX_CALLS_IN_FLIGHT: usize = 4_096;

/// How the database is, for staff who ask.
fn look_at(database: Database) -> DatabaseLook {
    Arc::new(move || {
        let database = database.clone();
        Box::pin(async move {
            let looked = database.look(&migrations()).await;
            looked.map_err(|error| error.to_string())
        })
    })
}

pub async fn migrate(config: Config) -> Result<(), Failure> {
    Ok(config.database.migrate(&migrations()).await?)
}

/// Checks the database, starts the writers, gatherers and recovery workers of every lane, and makes
/// the service that stands on them.
///
/// Fails with one sentence if the database cannot be reached, would lose commits in a crash, has
/// another schema than this program, or was made for another number of lanes.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    let database = look_at(config.database.clone());
    check_database(&config).await?;
    let tokens = Arc::new(TokenVerifier::load(config.tokens)?);
    host.supervisor
        .start("token key reloader", Arc::clone(&tokens).keep_fresh());
    let (replicas, refreshing) =
        Replicas::find(config.issuance, Identity::Issuance, Arc::clone(&host.tls)).await;
    host.supervisor.start("resolver of issuance", refreshing);

    let metrics = Metrics::register(&mut host.registry);
    let queue_metrics = QueueMetrics::register(&mut host.registry);
    // Not the host's own token: calls in flight still commit while the process drains.
    let closing = CancellationToken::new();
    let lanes = config.lanes;
    let (store, writers) = Store::new(
        &config.database,
        lanes,
        config.open_orders_per_shopper,
        &queue_metrics,
        &closing,
    );
    let writers = writers.into_iter();
    let writers = writers.map(|(name, writer)| host.supervisor.start(name, writer));
    let writers: Vec<_> = writers.collect();
    let work = DetachedWork::default();
    let period = RetentionPeriod::days(config.retention_days);
    let server = start_use_cases(replicas, store, metrics, period, &work, &mut host).await;
    let (ready, is_ready) = watch_channel::channel(true);
    let service = Service {
        names: SERVICE_NAMES,
        routes: Box::new(move |routes| server.add_to(routes)),
        of_streams: None,
        access: AccessRules::with_tokens(RULES, tokens, Some(Identity::Staff))
            .limited(limits(MAX_CALLS_IN_FLIGHT)),
        max_in_flight: MAX_CALLS_IN_FLIGHT,
        database: Some(database),
        ready: is_ready,
        finish: Box::pin(async move {
            // Orders in flight reach their outcome, and only then do the writers end.
            work.finished().await;
            closing.cancel();
            join_all(writers).await;
            drop(ready);
        }),
    };
    Ok((service, host))
}

/// Makes the use cases and starts what each of them does beside its calls.
async fn start_use_cases(
    replicas: Replicas,
    store: Store,
    metrics: Metrics,
    period: RetentionPeriod,
    work: &DetachedWork,
    host: &mut Host,
) -> Server {
    let lanes = store.lanes();
    let issuance = Issuance {
        lanes,
        replicas,
        metrics: metrics.clone(),
    };
    let (redeemer, redeeming) = Redeemer::new(issuance.clone());
    start_of_each_lane("gatherer of redemptions", lanes, redeeming, host);
    let (verifier, verifying) = Verifier::new(issuance.clone());
    start_of_each_lane("gatherer of codes", lanes, verifying, host);
    let campaigns = CampaignEnds::default();
    let finisher = Finisher::new(
        store.clone(),
        redeemer,
        metrics.clone(),
        work.clone(),
        campaigns.clone(),
    );
    let retention = Retention {
        store: store.clone(),
        campaigns,
        period,
    };
    let auditor = Auditor {
        store: store.clone(),
        issuance: issuance.clone(),
        period,
    };
    start_audits(&auditor, &metrics, host);
    start_retention(retention, host).await;
    start_recovery(&store, &finisher, &metrics, host);
    let releaser = Releaser::new(store.clone(), issuance, host.stop.clone());
    let releasing = lanes.all().map(|lane| releaser.clone().run(lane));
    start_of_each_lane("releaser", lanes, releasing, host);
    let closer = Closer::new(store.clone(), metrics.clone(), host.stop.clone());
    let closing = closer.clone().run();
    host.supervisor.start("closer of stores", closing);
    let feed = Feed::new(store.clone(), host.stop.clone());
    let measuring = feed.clone().measure(metrics.clone());
    host.supervisor.start("measurer of the feed", measuring);
    Server {
        lanes,
        gateway_means: Arc::new(Mutex::new(GatewayMeans::new(Instant::now()))),
        feed,
        closer,
        auditor,
        mover: Mover {
            store: store.clone(),
            releaser,
            metrics: metrics.clone(),
        },
        placer: Placer {
            store: store.clone(),
            finisher: finisher.clone(),
            verifier,
            nearby: Nearby::new(store.clone()),
            metrics: metrics.clone(),
        },
        watcher: Watcher::new(store.clone(), finisher, host.stop.clone()),
        store,
        metrics,
        period,
        work: work.clone(),
    }
}

fn start_recovery(store: &Store, finisher: &Finisher, metrics: &Metrics, host: &mut Host) {
    let lanes = store.lanes();
    let recovering = lanes.all().map(|lane| {
        let recovery = Recovery {
            lane,
            store: store.clone(),
            finisher: finisher.clone(),
            metrics: metrics.clone(),
        };
        recovery.run(host.stop.clone())
    });
    let recovering: Vec<_> = recovering.collect();
    start_of_each_lane("recovery", lanes, recovering, host);
}

fn start_audits(auditor: &Auditor, metrics: &Metrics, host: &mut Host) {
    let replica = host.settings.replica.clone();
    let auditor = auditor.clone();
    let auditing = auditor.run(replica, metrics.clone(), host.stop.clone());
    host.supervisor.start("audit of orders", auditing);
}

/// The tables of this day are there before the first order is.
async fn start_retention(retention: Retention, host: &mut Host) {
    retention.prepare(Timestamp::now_utc()).await;
    let forgetting = retention.run(host.stop.clone());
    host.supervisor.start("retention", forgetting);
}

fn start_of_each_lane(
    name: &str,
    lanes: Lanes,
    tasks: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>,
    host: &mut Host,
) {
    for (lane, task) in lanes.all().zip(tasks) {
        let name = format!("{name} of lane {lane}");
        host.supervisor.start(name, task);
    }
}

async fn check_database(config: &Config) -> Result<(), Failure> {
    config.database.check_durability().await?;
    if config.migrate_on_start {
        config.database.migrate(&migrations()).await?;
    } else {
        config.database.check_schema(&migrations()).await?;
    }
    Ok(config.database.fix_lanes(config.lanes).await?)
}
