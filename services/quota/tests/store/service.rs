//! Quota as a whole in this process, over mutual TLS, with staff and an issuance.

use std::{sync::Arc, time::Duration};

use crate::database::TestDatabase;
use crate::issuance::{Issuance, certificates};
use crate::tokens::TokenMint;
use tidegate_auth::{Identity, PeerRequirement};
use tidegate_pg::Database;
use tidegate_proto::{
    quota::v1::{
        campaign_service_client::CampaignServiceClient, lease_service_client::LeaseServiceClient,
        queue_service_client::QueueServiceClient, *,
    },
    r#type::v1::{Campaign, CouponTerms, IssuanceControl, IssuanceState, RedemptionControl, Tier},
};
use tidegate_quota::{Config, build};
use tidegate_rpc::{
    client::channel,
    refusal::reason_of,
    server::{CallLayer, CallMetrics, CallPolicy, ConnectionLimits, Listener, serve},
    wire,
};
use tidegate_runtime::{Host, HostSettings};
use tidegate_telemetry::Registry;
use tidegate_types::{Reason, ReplicaId, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, service::Routes, transport::Channel};
use uuid::Uuid;

pub struct Quota {
    /// Kept until the test is over.
    _database: TestDatabase,
    pub issuance: Issuance,
    tokens: TokenMint,
    address: String,
    _host: Host,
}

impl Quota {
    /// Starts with leases that time out after a second.
    pub async fn start() -> Self {
        let database = TestDatabase::create().await;
        let (issuance, _) = Issuance::start().await;
        let folder = issuance.folder.path();
        let (tokens, token_settings) = TokenMint::make(folder);
        let config = Config {
            lease_retention: Duration::from_secs(24 * 3_600),
            database: Database::parse(&database.url, "service test").unwrap(),
            migrate_on_start: false,
            tokens: token_settings,
            issuance_addresses: vec![issuance.address.clone()],
            lease_ttl: Duration::from_secs(1),
            audit_interval: Duration::from_secs(1),
        };
        let settings = HostSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            replica: ReplicaId::parse("quota-0").unwrap(),
            tls: certificates::files(folder, Identity::Quota),
            otlp_endpoint: None,
            trace_sample_ratio: 0.0,
            log_filter: "info".to_owned(),
            lame_duck: Duration::ZERO,
            drain: Duration::from_secs(10),
            connections: ConnectionLimits::default(),
        };
        let stop = CancellationToken::new();
        let peers = PeerRequirement::Certificate;
        let host = Host::prepare(Identity::Quota, settings, peers, stop.clone()).unwrap();
        let (service, host) = build(config, host).await.unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.address().to_string();
        let policy = CallPolicy {
            access: service.access,
            max_in_flight: service.max_in_flight,
            tracing: host.tracing.clone(),
            metrics: CallMetrics::register(&mut Registry::default()),
        };
        let routes = (service.routes)(Routes::default());
        let (tls, calls) = (Arc::clone(&host.tls), CallLayer::new(policy));
        tokio::spawn(serve(listener, tls, calls, routes, stop));
        Self {
            _database: database,
            issuance,
            tokens,
            address,
            _host: host,
        }
    }

    pub fn channel(&self, identity: Identity) -> Channel {
        let tls = certificates::load(self.issuance.folder.path(), identity);
        channel(&self.address, Identity::Quota, Arc::new(tls))
    }

    pub fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.channel(Identity::Staff))
    }

    fn leases(&self) -> LeaseServiceClient<Channel> {
        LeaseServiceClient::new(self.channel(Identity::Issuance))
    }

    pub fn with_token<T>(&self, message: T, scope: &str) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.tokens.bearer(scope).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(Duration::from_secs(10));
        request
    }

    pub async fn create(&self) -> Campaign {
        let now = Timestamp::now_utc();
        let request = CreateCampaignRequest {
            campaign_id: "spring".to_owned(),
            currency_code: "CNY".to_owned(),
            tiers: vec![Tier {
                tier_id: "cup".to_owned(),
                face_value_minor_units: 2_500,
                stock: 100,
                terms: Some(CouponTerms {
                    minimum_spend_minor_units: 3_000,
                    areas: vec!["west".to_owned()],
                    store_ids: Vec::new(),
                }),
            }],
            limit_per_shopper: 1,
            opens_at: Some(wire::timestamp(now)),
            closes_at: Some(wire::timestamp(now + Duration::from_secs(3_600))),
            coupon_validity: Some(wire::duration(Duration::from_secs(3_600))),
            display_name: "奶茶节".to_owned(),
            description: "for the spring".to_owned(),
            reason: String::new(),
        };
        let request = self.with_token(request, "campaigns:write");
        let made = self.campaigns().create_campaign(request).await;
        made.unwrap().into_inner().campaign.unwrap()
    }

    pub async fn acquire(&self, campaign: &Campaign) -> Result<AcquireLeaseResponse, Status> {
        let request = AcquireLeaseRequest {
            lease_id: Uuid::new_v4().to_string(),
            campaign_number: campaign.campaign_number,
            holder_id: "issuance-0/1".to_owned(),
            wanted_of_any_tier: 5,
            ..AcquireLeaseRequest::default()
        };
        let acquired = self.leases().acquire_lease(request).await;
        acquired.map(tonic::Response::into_inner)
    }

    async fn set(
        &self,
        issuance: IssuanceControl,
        epoch: u64,
        scope: &str,
    ) -> Result<Campaign, Status> {
        let request = SetCampaignControlRequest {
            campaign_id: "spring".to_owned(),
            issuance: issuance.into(),
            redemption: RedemptionControl::Open.into(),
            reason: "店里忙不过来".to_owned(),
            resume_at: None,
            epoch,
        };
        let request = self.with_token(request, scope);
        let set = self.campaigns().set_campaign_control(request).await?;
        Ok(set.into_inner().campaign.unwrap())
    }

    async fn get(&self) -> Campaign {
        let request = GetCampaignRequest {
            campaign_id: "spring".to_owned(),
        };
        let request = self.with_token(request, "campaigns:read");
        let read = self.campaigns().get_campaign(request).await;
        read.unwrap().into_inner().campaign.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_halt_a_campaign_and_it_is_halted_when_they_are_told_so() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    let granted = quota.acquire(&campaign).await.unwrap();
    assert_eq!(granted.granted[0].quantity, 5);

    let refused = quota
        .set(IssuanceControl::Halted, 0, "campaigns:read")
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::PermissionDenied));
    let mut gateway = CampaignServiceClient::new(quota.channel(Identity::Gateway));
    let refused = gateway.end_campaign(EndCampaignRequest::default()).await;
    let reason = reason_of(&refused.unwrap_err());
    assert_eq!(
        reason,
        Some(Reason::PermissionDenied),
        "by certificate alone"
    );
    let halted = quota
        .set(IssuanceControl::Halted, 0, "campaigns:write")
        .await;
    let halted = halted.unwrap();
    let control = halted.control.unwrap();
    assert_eq!(control.issuance_state(), IssuanceState::Halted);
    assert_eq!(control.epoch, 1);
    let lease = *quota.issuance.state().leases.values().next().unwrap();
    assert!(lease.is_sealed);
    let refused = quota.acquire(&campaign).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::IssuanceHalted));
    let late = quota.set(IssuanceControl::Open, 0, "campaigns:write").await;
    let late = late.unwrap_err();
    assert_eq!(reason_of(&late), Some(Reason::ControlEpochConflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_keeps_its_leases_for_as_long_as_it_renews_them() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    quota.acquire(&campaign).await.unwrap();
    let mut leases = quota.leases();
    // Three times the TTL.
    for _ in 0..60 {
        let renewal = RenewLeasesRequest {
            holder_id: "issuance-0/1".to_owned(),
        };
        leases.renew_leases(renewal).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(quota.get().await.stock[0].leased, 5);
    while quota.get().await.stock[0].leased > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(quota.get().await.stock[0].free, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_extend_and_audit_a_campaign() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    quota.acquire(&campaign).await.unwrap();
    let extension = ExtendValidityRequest {
        campaign_id: "spring".to_owned(),
        valid_until: campaign.closes_at,
    };
    let request = quota.with_token(extension, "campaigns:write");
    let extended = quota.campaigns().extend_validity(request).await.unwrap();
    let extended = extended.into_inner().campaign.unwrap();
    assert_eq!(extended.extended_valid_until, campaign.closes_at);

    quota.issuance.state().stray_coupons = 7;
    let request = AuditCampaignRequest {
        campaign_id: "spring".to_owned(),
    };
    let request = quota.with_token(request, "campaigns:read");
    let audited = quota.campaigns().audit_campaign(request).await.unwrap();
    let audited = audited.into_inner();
    assert_eq!(audited.difference_count, 1);
    assert_eq!(audited.differences[0].kind, "coupons");
    assert_eq!((audited.tiers[0].coupons, audited.tiers[0].leased), (7, 5));
    assert_eq!(audited.leases, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_reports_a_queue_and_nobody_else_may() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    let report = |gateway_id: &str| ReportQueuesRequest {
        gateway_id: gateway_id.to_owned(),
        report_number: 1,
        queues: vec![QueueReport {
            campaign_number: campaign.campaign_number,
            waiting: vec![CohortWaiting {
                cohort: 0,
                held: 12,
                ..CohortWaiting::default()
            }],
            can_take: 6.0,
            ..QueueReport::default()
        }],
    };
    let mut gateway = QueueServiceClient::new(quota.channel(Identity::Gateway));
    let reported = gateway.report_queues(report("gateway-0/1")).await.unwrap();
    let told = &reported.into_inner().queues[0];
    assert!(told.is_queueing);
    assert_eq!(told.remaining, 100);
    assert_eq!((told.watermark_cohort, told.watermark_draw), (0, 1 << 31));
    assert_eq!((told.waiting[0].cohort, told.waiting[0].waiting), (0, 6));

    let refused = gateway.report_queues(report("")).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::InvalidField));
    let mut issuance = QueueServiceClient::new(quota.channel(Identity::Issuance));
    let refused = issuance.report_queues(report("gateway-0/2")).await;
    let refused = refused.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::PermissionDenied));
}
