//! Issuance owns coupons: it commits claims in batches against its leases, answers the wallet, redeems and releases.

pub mod campaigns;
pub mod claims;
pub mod config;
pub mod coupon_desk;
pub mod coupon_keys;
pub mod coupon_search;
pub mod domain;
/// The errors, all of them.
pub mod error;
pub mod fence;
pub mod grpc;
pub mod heartbeat;
pub mod history;
pub mod holders;
pub mod lane_work;
pub mod leases;
pub mod metrics;
mod redemptions;
pub mod store;
pub mod wallet;

use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::PgPool;
use tidegate_auth::{Identity, TokenVerifier};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, QueueMetrics};
use tidegate_rpc::{
    client::Replicas,
    server::{AccessRules, DatabaseLook},
};
use tidegate_runtime::{Failure, Host, Service};
use tidegate_types::ReplicaId;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    campaigns::{Campaigns, News},
    claims::{Claims, LaneHandle},
    config::Config,
    coupon_desk::CouponDesk,
    coupon_search::CouponSearch,
    fence::LeaseFence,
    history::History,
    holders::Holders,
    lane_work::{LaneCommit, SharedBook},
    leases::{LaneStock, QuotaClient},
    metrics::IssuanceMetrics,
    wallet::Wallet,
};

/// Of the connections for reads and leases, those that are for audits, for what is over, and for what
/// staff search alone.
pub const BACKGROUND_CONNECTIONS: u32 = 2;

/// How the database is, for staff who ask.
fn look_at(database: Database) -> DatabaseLook {
    Arc::new(move || {
        let database = database.clone();
        Box::pin(async move {
            let looked = database.look(&store::MIGRATIONS).await;
            looked.map_err(|error| error.to_string())
        })
    })
}

/// Brings the database's schema up to date.
pub async fn migrate(config: Config) -> Result<(), Failure> {
    Ok(config.database.migrate(&store::MIGRATIONS).await?)
}

/// Makes the service: checks the database, starts the lanes, and follows quota.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    let database = look_at(config.database.clone());
    check_database(&config).await?;
    let tokens = Arc::new(TokenVerifier::load(config.tokens.clone())?);
    host.supervisor
        .start("token key reloader", Arc::clone(&tokens).keep_fresh());
    let pool = config
        .database
        .pool(config.read_connections - BACKGROUND_CONNECTIONS);
    let background = config.database.pool(BACKGROUND_CONNECTIONS);
    let metrics = IssuanceMetrics::register(&mut host.registry);
    let keys = Arc::clone(&config.coupon_keys);
    let keys_reloader = keys.keep_fresh(metrics.clone());
    host.supervisor.start("coupon key reloader", keys_reloader);
    let (quota, resolver) = Replicas::find(
        config.quota_addresses.clone(),
        Identity::Quota,
        Arc::clone(&host.tls),
    )
    .await;
    let client = QuotaClient::new(quota.clone());
    let holder = heartbeat::new_holder(&host.settings.replica)?;
    // From before the first lease is acquired until after the last one is returned: supervised tasks outlive `finish`.
    let beating = heartbeat::beat(holder.clone(), client.clone(), metrics.clone());
    host.supervisor.start("heartbeat", beating);

    // Queues end after the last call has been answered, not when the process begins to stop.
    let stop_queues = CancellationToken::new();
    let queues = Queues {
        metrics: QueueMetrics::register(&mut host.registry),
        stop: stop_queues.clone(),
    };
    let holding = Holding {
        holder: holder.clone(),
        pool: pool.clone(),
        quota: client,
        metrics: metrics.clone(),
    };
    let (lanes, writers) = start_lanes(&config, &mut host, &queues, &holding);
    let lanes = Arc::new(lanes);
    for (lane, leases) in leases::left_behind(&pool, &holder).await? {
        if let Some(handle) = lanes.get(usize::from(lane)) {
            let name = format!("return of leases left behind in lane {lane}");
            let returning = handle.stock.clone().return_left_behind(leases);
            host.supervisor.start_errand(name, returning);
        }
    }

    let stocks = Arc::clone(&lanes);
    let tell = move |news: News| stocks.iter().for_each(|lane| lane.stock.hear(&news));
    host.supervisor.start("resolver of quota", resolver);
    let (campaigns, asking) = Campaigns::load(pool.clone(), quota.clone(), tell).await?;
    let (synced, ready) = watch::channel(!campaigns.is_empty());
    host.supervisor.start("questions of campaigns", asking);
    host.supervisor.start(
        "watch of campaigns",
        campaigns.clone().follow(quota, synced),
    );

    let fence = LeaseFence {
        pool: pool.clone(),
        audit_pool: background.clone(),
        lane_count: config.lanes,
        tracing: host.tracing.clone(),
        metrics: metrics.clone(),
        campaigns: campaigns.clone(),
    };
    let history = History {
        pool: background.clone(),
        lanes: config.lanes,
        stocks: lanes.iter().map(|lane| lane.stock.clone()).collect(),
        metrics: metrics.clone(),
    };
    host.supervisor
        .start("keeper of history", history.run(host.stop.clone()));
    let claims = Claims {
        lanes: Arc::clone(&lanes),
        lane_count: config.lanes,
        campaigns,
        pool,
        tracing: host.tracing.clone(),
        metrics,
    };
    let wallet = Wallet {
        claims: claims.clone(),
        keys: Arc::clone(&config.coupon_keys),
    };
    let desk = CouponDesk::new(claims.clone(), wallet.clone(), background.clone());
    let search = CouponSearch::new(wallet.clone(), background);
    let parts = grpc::Parts {
        holders: Holders::new(&claims),
        claims,
        wallet,
        fence,
        desk,
        search,
    };
    let stop = host.stop.clone();
    let finish = async move {
        stop_queues.cancel();
        join_all(writers).await;
        join_all(lanes.iter().map(|lane| lane.stock.return_all())).await;
    };
    let service = Service {
        names: grpc::SERVICES,
        routes: Box::new(|routes| grpc::add(routes, parts, stop)),
        access: AccessRules::with_tokens(grpc::RULES, tokens, Some(Identity::Staff))
            .limited(grpc::limits(config.max_in_flight)),
        max_in_flight: config.max_in_flight,
        database: Some(database),
        ready,
        finish: Box::pin(finish),
    };
    Ok((service, host))
}

/// What every lane's queue shares.
struct Queues {
    metrics: QueueMetrics,
    stop: CancellationToken,
}

/// What every lane's stock shares.
struct Holding {
    holder: ReplicaId,
    pool: PgPool,
    quota: QuotaClient,
    metrics: IssuanceMetrics,
}

/// Starts a writer and a keeper of stock for each lane.
fn start_lanes(
    config: &Config,
    host: &mut Host,
    queues: &Queues,
    holding: &Holding,
) -> (Vec<LaneHandle>, Vec<oneshot::Receiver<()>>) {
    let settings = CommitQueueSettings::new("coupons", config.queue_capacity, config.max_batch);
    let (mut lanes, mut writers) = (Vec::new(), Vec::new());
    for lane in config.lanes.all() {
        let book = SharedBook::default();
        let commit = LaneCommit {
            lane,
            keys: Arc::clone(&config.coupon_keys),
            book: book.clone(),
            metrics: holding.metrics.clone(),
        };
        let (queue, writer) = CommitQueue::new(
            settings,
            commit,
            config.database.clone(),
            host.tracing.clone(),
            &queues.metrics,
            queues.stop.clone(),
        );
        let stock = LaneStock::new(
            lane,
            holding.holder.clone(),
            book,
            holding.pool.clone(),
            holding.quota.clone(),
            host.tracing.clone(),
            holding.metrics.clone(),
        );
        let name = format!("lease keeper of lane {lane}");
        host.supervisor.start(name, stock.clone().keep());
        lanes.push(LaneHandle { queue, stock });
        let name = format!("writer of coupons of lane {lane}");
        writers.push(host.supervisor.start(name, writer));
    }
    (lanes, writers)
}

async fn check_database(config: &Config) -> Result<(), Failure> {
    config.database.check_durability().await?;
    if config.migrate_on_start {
        config.database.migrate(&store::MIGRATIONS).await?;
    }
    config.database.check_schema(&store::MIGRATIONS).await?;
    Ok(config.database.fix_lanes(config.lanes).await?)
}
