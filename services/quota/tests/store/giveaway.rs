//! A small giveaway and the requests that tests make of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_quota::{
    campaigns::{BudgetAddition, Campaigns},
    control::{ControlRequest, Controls},
    domain::{
        Campaign, CampaignTerms, Control, IssuanceControl, LeaseAnswer, LeaseRequest,
        SealedBecause, Tier, TierCounts, TierStock,
    },
    error::QuotaError,
    fence::Fencer,
    leases::Leases,
    metrics::Metrics,
    migrations,
    staff::StaffCall,
    store::{Store, Work},
    wake::Wake,
    watch::Watch,
};
use tidegate_telemetry::Registry;
use tidegate_test_kit::TestDatabase;
use tidegate_types::{
    Actor, CampaignId, CampaignNumber, ChangeReason, CouponTerms, CurrencyCode, Lanes,
    LimitPerShopper, ReplicaId, RequestId, TierId, TierNumber, Timestamp,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::issuance::Issuance;

/// As many as a replica has.
const MAX_CONNECTIONS: u32 = 16;

pub fn open() -> Timestamp {
    Timestamp::from_unix_timestamp(1_770_000_100).unwrap()
}

pub fn closed() -> Timestamp {
    Timestamp::from_unix_timestamp(1_770_003_600).unwrap()
}

pub fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A colleague's call that comes at a moment.
pub fn call(now: Timestamp) -> StaffCall {
    call_by(now, later())
}

pub fn call_by(now: Timestamp, deadline: Instant) -> StaffCall {
    StaffCall {
        actor: Some(Actor {
            subject: RequestId::parse("colleague").unwrap(),
            certificate_identity: "staff",
        }),
        came_at: now,
        began: Instant::now(),
        deadline,
    }
}

pub fn terms(id: &str, stocks: &[u64]) -> CampaignTerms {
    let tier = |(place, stock): (usize, &u64)| Tier {
        id: TierId::parse(format!("tier-{place}")).unwrap(),
        face_value_minor_units: 2_500,
        initial_stock: *stock,
        terms: CouponTerms::default(),
    };
    CampaignTerms {
        id: CampaignId::parse(id).unwrap(),
        currency: CurrencyCode::parse("CNY").unwrap(),
        tiers: stocks.iter().enumerate().map(tier).collect(),
        limit_per_shopper: LimitPerShopper::new(1u8).unwrap(),
        opens_at: Timestamp::from_unix_timestamp(1_770_000_000).unwrap(),
        closes_at: closed(),
        coupon_validity: Duration::from_secs(3_600),
        display_name: None,
        description: None,
    }
}

pub fn counts(values: &[u64]) -> TierCounts {
    let counts = values.iter().enumerate();
    let counts = counts.map(|(place, value)| (TierNumber::new(place).unwrap(), *value));
    counts.collect()
}

pub fn stock(free: u64, leased: u64, settled: u64) -> TierStock {
    TierStock {
        free,
        leased,
        settled,
    }
}

pub fn request(campaign: CampaignNumber, wanted: &[u64], wanted_of_any_tier: u64) -> LeaseRequest {
    LeaseRequest {
        lease_id: Uuid::new_v4(),
        campaign,
        holder: ReplicaId::parse("issuance-0").unwrap(),
        lane: Lanes::new(4u16).unwrap().lane(3u16).unwrap(),
        wanted: counts(wanted),
        wanted_of_any_tier,
    }
}

/// A wish of staff who read the control at this epoch.
pub fn wish(id: &str, issuance: IssuanceControl, seen_epoch: u64) -> ControlRequest {
    ControlRequest {
        campaign: CampaignId::parse(id).unwrap(),
        wanted: Control {
            issuance,
            reason: ChangeReason::parse("店里忙不过来").ok(),
            epoch: seen_epoch + 1,
            ..Control::default()
        },
    }
}

/// The use cases of one replica over a database of their own.
#[derive(Clone)]
pub struct Giveaway {
    pub database: Arc<TestDatabase>,
    /// As the service has it.
    pub pool: PgPool,
    pub store: Store,
    pub campaigns: Campaigns,
    pub leases: Leases,
    pub controls: Controls,
    pub metrics: Metrics,
}

impl Giveaway {
    pub async fn start() -> Self {
        Self::on(Arc::new(TestDatabase::migrated(&migrations()).await))
    }

    pub fn on(database: Arc<TestDatabase>) -> Self {
        let pool = database.open().pool(MAX_CONNECTIONS);
        let store = Store::new(pool.clone());
        let (watch, poller) = Watch::new(store.clone(), CancellationToken::new());
        tokio::spawn(poller);
        let metrics = Metrics::register(&mut Registry::default(), watch);
        Self {
            campaigns: Campaigns::new(store.clone()),
            leases: Leases::new(store.clone(), metrics.clone()),
            controls: Controls {
                store: store.clone(),
                reclaimer: Wake::default(),
                fencer: Wake::default(),
            },
            metrics,
            database,
            pool,
            store,
        }
    }

    /// One with the campaign "spring".
    pub async fn of(stocks: &[u64]) -> (Self, Campaign) {
        let giveaway = Self::start().await;
        let spring = giveaway.create("spring", stocks).await;
        (giveaway, spring)
    }

    pub async fn fenced() -> (Self, Issuance) {
        let giveaway = Self::start().await;
        let (issuance, client) = Issuance::start().await;
        let fencer = Fencer {
            store: giveaway.store.clone(),
            issuance: client,
            wake: giveaway.controls.fencer.clone(),
        };
        tokio::spawn(fencer.run(CancellationToken::new()));
        (giveaway, issuance)
    }

    /// A transaction that holds a campaign's locks.
    pub async fn locking(&self, campaign: CampaignNumber) -> Work {
        let mut work = self.store.begin(later()).await.unwrap();
        work.lock_tiers(campaign).await.unwrap();
        work
    }

    pub async fn make(&self, terms: &CampaignTerms) -> Result<Campaign, QuotaError> {
        self.campaigns.create(terms, None, &call(open())).await
    }

    pub async fn create(&self, id: &str, stocks: &[u64]) -> Campaign {
        self.make(&terms(id, stocks)).await.unwrap()
    }

    /// A campaign that is open by the machine's own clock, which is what a running reclaimer goes by.
    pub async fn create_current(&self, id: &str) -> CampaignNumber {
        let now = Timestamp::now_utc().replace_nanosecond(0).unwrap();
        let mut terms = terms(id, &[100]);
        terms.opens_at = now - Duration::from_secs(60);
        terms.closes_at = now + Duration::from_secs(3_600);
        let made = self.campaigns.create(&terms, None, &call(now)).await;
        made.unwrap().number
    }

    pub async fn read(&self, id: &str) -> Campaign {
        let id = CampaignId::parse(id).unwrap();
        self.campaigns.get(&id).await.unwrap()
    }

    pub async fn add(
        &self,
        addition: &BudgetAddition,
        now: Timestamp,
    ) -> Result<(Campaign, bool), QuotaError> {
        self.campaigns.add_budget(addition, &call(now)).await
    }

    pub async fn acquire_at(
        &self,
        request: &LeaseRequest,
        now: Timestamp,
    ) -> Result<LeaseAnswer, QuotaError> {
        self.leases.acquire(request, now, later()).await
    }

    pub async fn acquire_one(
        &self,
        campaign: CampaignNumber,
        now: Timestamp,
    ) -> Result<LeaseAnswer, QuotaError> {
        self.acquire_at(&request(campaign, &[], 1), now).await
    }

    pub async fn acquire(&self, request: &LeaseRequest) -> LeaseAnswer {
        self.acquire_at(request, open()).await.unwrap()
    }

    pub async fn settle(&self, lease_id: Uuid, used: &TierCounts) -> Result<(), QuotaError> {
        let because = SealedBecause::Returned;
        let settling = (self.leases).settle(lease_id, used, because, open(), later());
        settling.await.map(drop)
    }

    pub async fn give_back(&self, lease_id: Uuid, used: &[u64]) {
        self.settle(lease_id, &counts(used)).await.unwrap();
    }

    /// Extends the validity of "spring".
    pub async fn extend(
        &self,
        valid_until: Timestamp,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        let id = CampaignId::parse("spring").unwrap();
        let extending = self.controls.extend_validity(&id, valid_until, call);
        extending.await
    }

    pub async fn renew(&self, holder: &str) {
        let holder = ReplicaId::parse(holder).unwrap();
        self.leases.renew(&holder, later()).await.unwrap();
    }

    /// Changes a control and answers when that is done, or at the deadline.
    pub async fn set_by(
        &self,
        wish: &ControlRequest,
        deadline: Instant,
    ) -> Result<Campaign, QuotaError> {
        self.controls.set(wish, &call_by(open(), deadline)).await
    }

    pub async fn set(&self, wish: &ControlRequest) -> Result<Campaign, QuotaError> {
        self.set_by(wish, later()).await
    }

    /// The same with a wish that is granted.
    pub async fn wish(&self, id: &str, issuance: IssuanceControl, seen_epoch: u64) -> Campaign {
        self.set(&wish(id, issuance, seen_epoch)).await.unwrap()
    }
}

pub fn addition(
    campaign: &str,
    request_id: &str,
    tier: &str,
    additional_stock: u64,
) -> BudgetAddition {
    BudgetAddition {
        campaign: CampaignId::parse(campaign).unwrap(),
        request_id: RequestId::parse(request_id).unwrap(),
        tier: TierId::parse(tier).unwrap(),
        additional_stock,
        reason: ChangeReason::parse("the shops have more cups").unwrap(),
    }
}
