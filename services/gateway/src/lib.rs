//! The gateway is the only public door: it authenticates, validates, answers what it can from its
//! snapshot of the campaigns, and gathers claims and orders for the services behind it.

pub mod batch_answers;
pub mod campaign_owner;
pub mod campaigns;
pub mod claims;
mod clients;
pub mod concurrency_limits;
pub mod config;
pub mod coupon_holders;
pub mod domain;
pub mod error;
pub mod grpc;
pub mod limit_reached;
pub mod metrics;
pub mod orders;
pub mod permits;
pub mod rate_limits;
pub mod waiting_room;
pub mod wallet;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use tidegate_auth::Identity;
use tidegate_rpc::{
    client::{BatchCall, LaneBatches, Replicas},
    server::{AccessRules, Limits, Work},
};
use tidegate_runtime::{Failure, Host, Service};
use tidegate_types::{Lanes, Timestamp};
use tokio::sync::watch;

use crate::{
    campaign_owner::CampaignOwner,
    campaigns::Campaigns,
    claims::{Claims, IssueCall},
    concurrency_limits::ConcurrencyLimit,
    config::Config,
    coupon_holders::CouponHolders,
    domain::order_waits::OrderWaits,
    grpc::Faces,
    limit_reached::LimitReached,
    metrics::{GatewayMetrics, QueueMetrics},
    orders::{Orders, PlaceCall},
    permits::Permits,
    waiting_room::{Reporter, WaitingRoom},
    wallet::Wallet,
};

/// Of all calls in flight, claims take at most this share, most of them to be told their position:
/// orders always find a permit.
const MAX_SHARE_OF_CLAIMS: f64 = 0.75;
/// Calls of orders of one lane in flight at once. A call lasts as long as its slowest order, and who
/// comes meanwhile would wait for that.
const ORDER_CALLS_PER_LANE: usize = 16;
/// At the end, a report that was in flight and one with what came after it.
const LAST_REPORTS: u64 = 2;

/// Makes the service: finds the services behind it and follows the campaigns.
pub async fn build(config: Config, mut host: Host) -> Result<(Service, Host), Failure> {
    let tokens = config.token_verifier()?;
    host.supervisor
        .start("token key reloader", Arc::clone(&tokens).keep_fresh());
    let metrics = GatewayMetrics::register(&mut host.registry);
    let quota = find(&mut host, config.quota_addresses.clone(), Identity::Quota).await;
    let addresses = config.issuance_addresses.clone();
    let issuance = find(&mut host, addresses, Identity::Issuance).await;
    let addresses = config.order_intake_addresses.clone();
    let order_intake = find(&mut host, addresses, Identity::OrderIntake).await;
    let (campaigns, holders) = follow_campaigns(&quota, issuance.clone(), &mut host);

    let queue_metrics = QueueMetrics::register(&mut host.registry);
    let room = WaitingRoom::new(
        config.waiting_room,
        config.ticket_keys.clone(),
        queue_metrics.clone(),
    );
    let permits = Arc::new(Permits::of_claims(config.lanes));
    let (reports, ready) = report(&mut host, &room, &campaigns, &permits, quota);

    let lanes = config.lanes;
    let read_limit = ConcurrencyLimit::new(config.max_reads);
    let issue = IssueCall {
        issuance: issuance.clone(),
        lanes,
    };
    let issue_batches =
        start_gatherers("claims", &issue, (lanes, config.calls_per_lane), &mut host);
    let orders = place_orders(&config, order_intake, &permits, &read_limit, &mut host);
    let claims = Claims {
        campaigns: campaigns.clone(),
        lanes,
        batches: Arc::new(issue_batches),
        issuance: issuance.clone(),
        waiting_room: room,
        permits,
        limit_reached: LimitReached::default(),
        coupon_holders: holders,
        claim_limit: ConcurrencyLimit::new(config.max_claims),
        read_limit: read_limit.clone(),
    };
    let wallet = Wallet {
        campaigns,
        lanes,
        issuance,
        read_limit,
    };
    let limits = limits(&config);
    let faces = Faces::new(&config, &host, metrics, (orders, claims, wallet));
    let of_streams = faces.handlers();
    let service = Service {
        names: grpc::SERVICES,
        routes: Box::new(|routes| faces.add_to(routes)),
        of_streams: Some(of_streams),
        access: AccessRules::with_tokens(grpc::RULES, tokens, None).limited(limits),
        max_in_flight: config.max_in_flight,
        database: None,
        ready,
        finish: Box::pin(last_reports(reports)),
    };
    Ok((service, host))
}

fn follow_campaigns(
    quota: &Replicas,
    issuing: Replicas,
    host: &mut Host,
) -> (Campaigns, CouponHolders) {
    let (owner, asking) = CampaignOwner::new(quota);
    let [of_known, of_strangers] = asking;
    host.supervisor
        .start("questions of known campaigns", of_known);
    host.supervisor
        .start("questions of unknown campaigns", of_strangers);
    let campaigns = Campaigns::new(owner);
    host.supervisor.start(
        "watch of campaigns",
        campaigns.clone().follow(quota.clone()),
    );
    let holders = CouponHolders::default();
    let watched = campaigns.clone();
    let following = holders.clone().follow(
        move || watched.that_issue_no_more(Timestamp::now_utc()),
        issuing,
    );
    host.supervisor.start("watch of coupon holders", following);
    (campaigns, holders)
}

/// What places orders, as fast as leaves permits for those of the claims that are served.
fn place_orders(
    config: &Config,
    order_intake: Replicas,
    claims: &Arc<Permits>,
    read_limit: &ConcurrencyLimit,
    host: &mut Host,
) -> Orders {
    let lanes = config.lanes;
    let waits = Arc::new(Mutex::new(OrderWaits::new(Instant::now())));
    let place = PlaceCall {
        order_intake: order_intake.clone(),
        lanes,
        waits: Arc::clone(&waits),
        claims: Arc::clone(claims),
    };
    let permits = Arc::new(Permits::of_orders(lanes));
    permits::register_figures(&mut host.registry, Arc::clone(claims), Arc::clone(&permits));
    Orders {
        lanes,
        batches: start_gatherers("orders", &place, (lanes, ORDER_CALLS_PER_LANE), host),
        order_intake,
        permits,
        claims: Arc::clone(claims),
        waits,
        order_limit: ConcurrencyLimit::new(config.max_orders),
        read_limit: read_limit.clone(),
    }
}

/// Starts what gathers one kind of work of each lane into batches.
fn start_gatherers<C: BatchCall + Clone>(
    of: &str,
    call: &C,
    (lanes, calls_per_lane): (Lanes, usize),
    host: &mut Host,
) -> LaneBatches<C> {
    let (batches, gatherers) = LaneBatches::new(lanes, call, calls_per_lane);
    for (lane, gathering) in gatherers.into_iter().enumerate() {
        let name = format!("gatherer of {of} of lane {lane}");
        host.supervisor.start(name, gathering);
    }
    batches
}

fn limits(config: &Config) -> Limits {
    let most_claims = (config.max_in_flight as f64 * MAX_SHARE_OF_CLAIMS).ceil() as usize;
    Limits::default()
        .at_most(Work::Claims, most_claims)
        .at_most(Work::Streams, config.max_watches + config.max_claim_watches)
        .caller_rate(config.caller_rate_per_second)
}

/// Starts the reports of the waiting room; the number of the last one that quota has taken in, and
/// whether claims can be judged by what is known.
fn report(
    host: &mut Host,
    room: &WaitingRoom,
    campaigns: &Campaigns,
    permits: &Arc<Permits>,
    quota: Replicas,
) -> (Option<watch::Receiver<u64>>, watch::Receiver<bool>) {
    if !room.is_open() {
        return (None, campaigns.synced());
    }
    let reporter = Reporter::new(
        room.clone(),
        campaigns.clone(),
        Arc::clone(permits),
        quota,
        &host.settings.replica,
    );
    let acknowledged = reporter.acknowledged();
    host.supervisor.start("reporter of queues", reporter.run());
    (Some(acknowledged), room.ready())
}

/// Waits until quota knows all that happened before this process ends. The host bounds how long
/// that may take.
async fn last_reports(reports: Option<watch::Receiver<u64>>) {
    if let Some(mut reports) = reports {
        let last = *reports.borrow() + LAST_REPORTS;
        // An error means that nobody reports any more.
        let _ = reports.wait_for(|number| *number >= last).await;
    }
}

async fn find(host: &mut Host, addresses: Vec<String>, service: Identity) -> Replicas {
    let (replicas, resolver) = Replicas::find(addresses, service, Arc::clone(&host.tls)).await;
    host.supervisor
        .start(format!("resolver of {service}"), resolver);
    replicas
}
