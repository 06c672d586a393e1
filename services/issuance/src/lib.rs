//! Issuance owns coupons: it commits claims in batches against its leases, answers the wallet, redeems and releases.

pub mod campaigns;
pub mod claims;
pub mod config;
pub mod coupon_admin;
pub mod coupon_keys;
pub mod coupon_looks;
pub mod coupon_search;
pub mod coupon_uses;
pub mod domain;
pub mod error;
pub mod fence;
pub mod grpc;
pub mod heartbeat;
pub mod history;
pub mod lane_work;
pub mod leases;
pub mod metrics;
pub mod replica;
pub mod shoppers;
pub mod store;
pub mod wallet;

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_auth::{Identity, TokenVerifier};
use tidegate_pg::{CommitQueue, CommitQueueSettings, QueueMetrics};
use tidegate_rpc::{
    client::{LaneBatches, Replicas},
    server::AccessRules,
};
use tidegate_runtime::{Failure, Host, Service};
use tidegate_types::PerLane;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    campaigns::{Campaigns, News},
    config::Config,
    coupon_admin::MAX_GRANT_STREAMS,
    coupon_looks::{LOOKS_PER_LANE, LookCall},
    coupon_search::MAX_SEARCHES,
    grpc::IssuanceGrpc,
    lane_work::{LaneCommit, Queues, SharedBook},
    leases::{LaneStock, Lending, QuotaClient},
    metrics::IssuanceMetrics,
    replica::Replica,
    shoppers::MAX_SHOPPER_STREAMS,
};

/// Of the connections for reads and leases, those that are for audits, for what is over, and for what
/// staff search alone.
pub const BACKGROUND_CONNECTIONS: u32 = 2;

pub async fn migrate(config: Config) -> Result<(), Failure> {
    Ok(config.database.migrate(&store::MIGRATIONS).await?)
}

/// Makes the service: checks the database, starts the lanes, and follows quota.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    check_database(&config).await?;
    let tokens = Arc::new(TokenVerifier::load(config.tokens.clone())?);
    let keys = Arc::clone(&config.coupon_keys);
    let metrics = IssuanceMetrics::register(&mut host.registry);
    let supervisor = &mut host.supervisor;
    supervisor.start("token key reloader", Arc::clone(&tokens).keep_fresh());
    supervisor.start("coupon key reloader", keys.keep_fresh(metrics.clone()));
    let reading = config.read_connections - BACKGROUND_CONNECTIONS;
    let pool = config.database.pool(reading);
    let addresses = config.quota_addresses.clone();
    let (quota, resolver) = Replicas::find(addresses, Identity::Quota, Arc::clone(&host.tls)).await;
    let lending = Lending {
        lease_holder: heartbeat::new_lease_holder(&host.settings.replica)?,
        pool: pool.clone(),
        quota: QuotaClient::new(quota.clone()),
        metrics,
    };
    // From before the first lease is acquired until after the last one is returned: supervised tasks outlive `finish`.
    let beating = heartbeat::beat(lending.clone());
    host.supervisor.start("heartbeat", beating);

    // Queues end after the last call has been answered, not when the process begins to stop.
    let stop_queues = CancellationToken::new();
    let (queues, stocks, writers) = start_lanes(&config, &lending, &stop_queues, &mut host);
    for (lane, leases) in leases::left_behind(&lending, config.lanes).await? {
        let name = format!("return of leases left behind in lane {lane}");
        let returning = Arc::clone(&stocks[lane]).return_left_behind(leases);
        host.supervisor.start_errand(name, returning);
    }

    let told = Arc::clone(&stocks);
    let tell = move |news: News| told.values().for_each(|stock| stock.hear(&news));
    let (campaigns, asking) = Campaigns::load(pool, quota.clone(), tell).await?;
    let (synced, ready) = watch::channel(!campaigns.is_empty());
    let following = campaigns.clone().follow(quota, synced);
    host.supervisor.start("resolver of quota", resolver);
    host.supervisor.start("questions of campaigns", asking);
    host.supervisor.start("watch of campaigns", following);

    let looks = start_looks(&config, &lending, &mut host);
    let own = (campaigns, queues, looks);
    let replica = Arc::new(replica(&config, &lending, own, &stocks));
    let keeping = Arc::clone(&replica).keep_history(host.stop.clone());
    host.supervisor.start("keeper of history", keeping);
    let stop = host.stop.clone();
    let grpc = IssuanceGrpc { replica, stop };
    let finish = async move {
        stop_queues.cancel();
        join_all(writers).await;
        join_all(stocks.values().map(|stock| stock.return_all())).await;
    };
    let service = Service {
        names: grpc::SERVICES,
        routes: Box::new(|routes| grpc::add(routes, grpc)),
        of_streams: None,
        access: AccessRules::with_tokens(grpc::RULES, tokens, Some(Identity::Staff))
            .limited(grpc::limits(config.max_in_flight)),
        max_in_flight: config.max_in_flight,
        database: Some(Arc::new(move || {
            let database = config.database.clone();
            Box::pin(async move {
                let looked = database.look(&store::MIGRATIONS).await;
                looked.map_err(|error| error.to_string())
            })
        })),
        ready,
        finish: Box::pin(finish),
    };
    Ok((service, host))
}

fn replica(
    config: &Config,
    lending: &Lending,
    (campaigns, queues, looks): (Campaigns, Queues, LaneBatches<LookCall>),
    stocks: &Arc<PerLane<Arc<LaneStock>>>,
) -> Replica {
    Replica {
        keys: Arc::clone(&config.coupon_keys),
        campaigns,
        lanes: config.lanes,
        queues,
        looks,
        stocks: Arc::clone(stocks),
        metrics: lending.metrics.clone(),
        pool: lending.pool.clone(),
        background: config.database.pool(BACKGROUND_CONNECTIONS),
        searches: Semaphore::new(MAX_SEARCHES),
        shopper_streams: Arc::new(Semaphore::new(MAX_SHOPPER_STREAMS)),
        grant_streams: Arc::new(Semaphore::new(MAX_GRANT_STREAMS)),
    }
}

fn start_looks(config: &Config, lending: &Lending, host: &mut Host) -> LaneBatches<LookCall> {
    let pool = lending.pool.clone();
    let (looks, gatherers) = LaneBatches::new(config.lanes, &LookCall { pool }, LOOKS_PER_LANE);
    for (lane, gathering) in gatherers.into_iter().enumerate() {
        let name = format!("gatherer of looks of lane {lane}");
        host.supervisor.start(name, gathering);
    }
    looks
}

type Writers = Vec<oneshot::Receiver<()>>;

/// Starts a writer and a keeper of stock for each lane.
fn start_lanes(
    config: &Config,
    lending: &Lending,
    stop: &CancellationToken,
    host: &mut Host,
) -> (Queues, Arc<PerLane<Arc<LaneStock>>>, Writers) {
    let settings = CommitQueueSettings::new("coupons", config.queue_capacity, config.max_batch);
    let queue_metrics = QueueMetrics::register(&mut host.registry);
    let books = PerLane::new(config.lanes, |_| SharedBook::default());
    let mut writers = Vec::new();
    let queues = PerLane::new(config.lanes, |lane| {
        let commit = LaneCommit {
            lane,
            keys: Arc::clone(&config.coupon_keys),
            book: books[lane].clone(),
            metrics: lending.metrics.clone(),
        };
        let (database, stop) = (config.database.clone(), stop.clone());
        let (queue, writer) = CommitQueue::new(settings, commit, database, &queue_metrics, stop);
        let name = format!("writer of coupons of lane {lane}");
        writers.push(host.supervisor.start(name, writer));
        queue
    });
    let stocks = PerLane::new(config.lanes, |lane| {
        let stock = LaneStock::new(lane, books[lane].clone(), lending.clone());
        let name = format!("lease keeper of lane {lane}");
        host.supervisor.start(name, Arc::clone(&stock).keep());
        stock
    });
    (Arc::new(queues), Arc::new(stocks), writers)
}

async fn check_database(config: &Config) -> Result<(), Failure> {
    config.database.check_durability().await?;
    if config.migrate_on_start {
        config.database.migrate(&store::MIGRATIONS).await?;
    }
    config.database.check_schema(&store::MIGRATIONS).await?;
    Ok(config.database.fix_lanes(config.lanes).await?)
}
