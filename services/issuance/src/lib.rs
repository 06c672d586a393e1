//! Issuance owns coupons: it commits claims in batches against its leases, answers the wallet, redeems and releases.

pub mod campaigns;
pub mod claims;
/// Settings.
pub mod config;
pub mod domain;
/// The errors, all of them.
pub mod error;
pub mod grpc;
pub mod lane_work;
pub mod leases;
pub mod metrics;
pub mod store;
pub mod wallet;

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_auth::Identity;
use tidegate_pg::{CommitQueue, CommitQueueSettings, QueueMetrics};
use tidegate_proto::issuance::v1::issuance_service_server::IssuanceServiceServer;
use tidegate_rpc::{MAX_MESSAGE_BYTES, client::Replicas, server::AccessRules};
use tidegate_runtime::{Failure, Host, Service};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    campaigns::Campaigns,
    claims::{Claims, LaneHandle},
    config::Config,
    grpc::IssuanceGrpc,
    lane_work::{LaneCommit, SharedBook},
    leases::{LaneStock, QuotaClient},
    metrics::IssuanceMetrics,
    wallet::Wallet,
};

/// Brings the database's schema up to date.
pub async fn migrate(config: Config) -> Result<(), Failure> {
    Ok(config.database.migrate(&store::MIGRATIONS).await?)
}

/// Makes the service: checks the database, starts the lanes, and follows quota.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    check_database(&config).await?;
    let pool = config.database.pool(config.read_connections);
    let metrics = IssuanceMetrics::register(&mut host.registry);
    let queues = QueueMetrics::register(&mut host.registry);
    let campaigns = Campaigns::load(pool.clone()).await?;
    let (quota, resolver) = Replicas::find(
        config.quota_addresses.clone(),
        Identity::Quota,
        Arc::clone(&host.tls),
    )
    .await;
    let client = QuotaClient::new(quota.clone());

    // Queues end after the last call has been answered, not when the process begins to stop.
    let stop_queues = CancellationToken::new();
    let settings = CommitQueueSettings {
        name: "coupons",
        capacity: config.queue_capacity,
        max_batch: config.max_batch,
    };
    let (mut lanes, mut writers) = (Vec::new(), Vec::new());
    for lane in config.lanes.all() {
        let book = SharedBook::default();
        let commit = LaneCommit {
            lane,
            key_id: config.keyring.active_key_id(),
            book: book.clone(),
        };
        let (queue, writer) = CommitQueue::start(
            settings,
            commit,
            config.database.clone(),
            host.tracing.clone(),
            &queues,
            stop_queues.clone(),
        );
        let stock = LaneStock::new(
            lane,
            host.settings.replica.clone(),
            book,
            pool.clone(),
            client.clone(),
            host.tracing.clone(),
            metrics.clone(),
        );
        host.background.push(tokio::spawn(stock.clone().keep()));
        lanes.push(LaneHandle { queue, stock });
        writers.push(writer);
    }
    let lanes = Arc::new(lanes);
    for (lane, leases) in left_behind_by_lane(&pool, &host).await? {
        if let Some(handle) = lanes.get(usize::from(lane)) {
            host.background.push(tokio::spawn(
                handle.stock.clone().return_left_behind(leases),
            ));
        }
    }

    let (synced, ready) = watch::channel(!campaigns.is_empty());
    let stocks = Arc::clone(&lanes);
    let changed = move |campaign| {
        stocks
            .iter()
            .for_each(|lane| lane.stock.campaign_changed(campaign))
    };
    host.background.push(resolver);
    host.background.push(tokio::spawn(
        campaigns.clone().follow(quota, changed, synced),
    ));

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
        keyring: Arc::clone(&config.keyring),
    };
    let server = IssuanceServiceServer::new(IssuanceGrpc::new(claims, wallet))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let finish = async move {
        stop_queues.cancel();
        join_all(writers).await;
        join_all(lanes.iter().map(|lane| lane.stock.return_all())).await;
    };
    let service = Service {
        names: grpc::SERVICES,
        routes: Box::new(|routes| routes.add_service(server)),
        access: AccessRules::services_only(grpc::RULES),
        max_in_flight: config.max_in_flight,
        ready,
        finish: Box::pin(finish),
    };
    Ok((service, host))
}

async fn check_database(config: &Config) -> Result<(), Failure> {
    config.database.check_durability().await?;
    if config.migrate_on_start {
        config.database.migrate(&store::MIGRATIONS).await?;
    }
    config.database.check_schema(&store::MIGRATIONS).await?;
    Ok(config.database.fix_lanes(config.lanes).await?)
}

async fn left_behind_by_lane(
    pool: &sqlx::PgPool,
    host: &Host,
) -> Result<std::collections::BTreeMap<u16, Vec<uuid::Uuid>>, Failure> {
    let mut by_lane = std::collections::BTreeMap::<u16, Vec<uuid::Uuid>>::new();
    for (lane, lease) in leases::left_behind(pool, &host.settings.replica).await? {
        by_lane.entry(lane).or_default().push(lease);
    }
    Ok(by_lane)
}
