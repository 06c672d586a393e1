//! The gateway is the only public door: it authenticates, validates, answers what it can from its snapshot of the campaigns, and gathers claims and orders for the services behind it.

/// Limits per kind of work.
pub mod bulkheads;
pub mod campaigns;
pub mod claims;
/// Settings.
pub mod config;
pub mod domain;
/// The errors, all of them.
pub mod error;
pub mod grpc;
pub mod lane_batches;
pub mod metrics;
pub mod orders;
pub mod upstream;
pub mod wallet;

use std::sync::Arc;

use tidegate_auth::Identity;
use tidegate_proto::gateway::v1::{
    claim_service_server::ClaimServiceServer, order_service_server::OrderServiceServer,
    wallet_service_server::WalletServiceServer,
};
use tidegate_rpc::{client::Replicas, server::AccessRules};
use tidegate_runtime::{Failure, Host, Service};

use crate::{
    bulkheads::Bulkhead,
    campaigns::Campaigns,
    claims::{Claims, IssueCall},
    config::Config,
    grpc::{ClaimGrpc, OrderGrpc, WalletGrpc},
    lane_batches::LaneBatches,
    metrics::GatewayMetrics,
    orders::{Orders, PlaceCall},
    upstream::Upstream,
    wallet::Wallet,
};

/// A shopper's request is small; larger ones are refused unread.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Makes the service: finds the services behind it and follows the campaigns.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    let tokens = config.token_verifier()?;
    host.background.push(Arc::clone(&tokens).keep_fresh());
    let metrics = GatewayMetrics::register(&mut host.registry);
    let quota = find(&mut host, config.quota_addresses, Identity::Quota).await;
    let issuance =
        Upstream::new(find(&mut host, config.issuance_addresses, Identity::Issuance).await);
    let order_intake = Upstream::new(
        find(
            &mut host,
            config.order_intake_addresses,
            Identity::OrderIntake,
        )
        .await,
    );
    let campaigns = Campaigns::default();
    let ready = campaigns.synced();
    host.background
        .push(tokio::spawn(campaigns.clone().follow(quota)));

    let lanes = config.lanes;
    let read_places = Bulkhead::new(config.max_reads);
    let issue = IssueCall {
        issuance: issuance.clone(),
        lanes,
        tracing: host.tracing.clone(),
    };
    let (issue_batches, issuing) = LaneBatches::start(lanes, &issue, config.calls_per_lane);
    let place = PlaceCall {
        order_intake: order_intake.clone(),
        lanes,
        tracing: host.tracing.clone(),
    };
    let (order_batches, placing) = LaneBatches::start(lanes, &place, config.calls_per_lane);
    host.background.extend(issuing.into_iter().chain(placing));

    let claims = Claims {
        campaigns: campaigns.clone(),
        lanes,
        batches: issue_batches,
        issuance: issuance.clone(),
        claim_places: Bulkhead::new(config.max_claims),
        read_places: read_places.clone(),
    };
    let wallet = Wallet {
        campaigns,
        lanes,
        issuance,
        read_places: read_places.clone(),
    };
    let orders = Orders {
        lanes,
        batches: order_batches,
        order_intake,
        order_places: Bulkhead::new(config.max_orders),
        read_places,
    };
    let claims = ClaimServiceServer::new(ClaimGrpc {
        claims,
        metrics: metrics.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let wallet = WalletServiceServer::new(WalletGrpc {
        wallet,
        metrics: metrics.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let orders = OrderServiceServer::new(OrderGrpc {
        orders,
        watch_places: Bulkhead::new(config.max_watches),
        metrics,
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let service = Service {
        names: grpc::SERVICES,
        routes: Box::new(|routes| {
            routes
                .add_service(claims)
                .add_service(wallet)
                .add_service(orders)
        }),
        access: AccessRules::with_tokens(grpc::RULES, tokens, None),
        max_in_flight: config.max_in_flight,
        ready,
        finish: Box::pin(std::future::ready(())),
    };
    Ok((service, host))
}

async fn find(host: &mut Host, addresses: Vec<String>, service: Identity) -> Replicas {
    let (replicas, resolver) = Replicas::find(addresses, service, Arc::clone(&host.tls)).await;
    host.background.push(resolver);
    replicas
}
