//! One lane of a real database, its stock, and writers that commit to it.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sqlx::PgPool;
use tidegate_issuance::{
    coupon_keys::CouponKeys,
    domain::{coupon::StoredCoupon, lease_book::HeldLease},
    lane_work::{Claim, Claimed, LaneCommit, SharedBook, Work},
    metrics::IssuanceMetrics,
    store::{
        leases::{self, Installed, LeaseToSeal, TierCounts},
        timelines::{self, Timeline},
    },
};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, NotCommitted, QueueMetrics, Reply};
use tidegate_telemetry::{Registry, TraceContext, Tracing};
use tidegate_types::{
    CampaignNumber, Lane, Lanes, ReplicaId, RequestId, ShopperId, TierNumber, Timestamp,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::TestDatabase;

/// Long enough that no claim of a test runs out of time.
const PATIENCE: Duration = Duration::from_secs(60);
const VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
/// The key new codes are made with.
pub const KEY_ID: u8 = 1;

fn keys() -> CouponKeys {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let key = BASE64_STANDARD.encode([7; 32]);
    write!(
        file,
        r#"{{"active":{KEY_ID},"keys":{{"{KEY_ID}":"{key}"}}}}"#
    )
    .unwrap();
    CouponKeys::load(file.path()).unwrap()
}

/// A lane and the database it is in.
pub struct TestLane {
    pub database: TestDatabase,
    /// Connections for reads and for leases.
    pub pool: PgPool,
}

/// A commit queue of the lane with a book of its own, as each replica has.
pub struct Writer {
    pub queue: CommitQueue<LaneCommit>,
    book: SharedBook,
    stop: CancellationToken,
}

impl TestLane {
    /// The only lane of a new database.
    pub async fn create() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let pool = database.open().unwrap().pool(8);
        let mut connection = pool.acquire().await.unwrap();
        timelines::follow(&mut connection, lane()).await.unwrap();
        drop(connection);
        Self { database, pool }
    }

    /// Installs a lease on the first campaign.
    pub async fn lease(&self, granted: &[(u8, u64)]) -> Uuid {
        let lease = Uuid::now_v7();
        let installed = install(&self.pool, lease, granted).await.unwrap();
        assert_eq!(installed, Installed::Fresh);
        lease
    }

    /// A writer over connections of its own.
    pub fn writer(&self) -> Writer {
        Writer::start(self.database.open().unwrap(), &mut Registry::default())
    }

    /// Tiers of leases whose `used` differs from the coupons that were issued from them, and coupons of leases that are not there.
    pub async fn unbalanced(&self) -> Vec<(Option<Uuid>, Option<i64>, Option<i64>)> {
        sqlx::query_as(
            "WITH issued AS (SELECT lane, lease_id, tier_number, count(*) AS coupons FROM coupons GROUP BY lane, lease_id, tier_number)
             SELECT lease_id, used, coupons FROM lease_counts FULL JOIN issued USING (lane, lease_id, tier_number)
             WHERE used IS DISTINCT FROM coalesce(coupons, 0)",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How many coupons there are.
    pub async fn issued(&self) -> i64 {
        self.database.ask("SELECT count(*) FROM coupons").await
    }
}

/// A lane with a writer that holds a lease of so much.
pub async fn stocked(granted: &[(u8, u64)]) -> (TestLane, Writer, Uuid) {
    let lane = TestLane::create().await;
    let lease = lane.lease(granted).await;
    let writer = lane.writer();
    writer.hold(1, lease, granted);
    (lane, writer, lease)
}

impl Writer {
    /// Starts one whose metrics go to `registry`.
    pub fn start(database: Database, registry: &mut Registry) -> Self {
        let (book, stop) = (SharedBook::default(), CancellationToken::new());
        let commit = LaneCommit {
            lane: lane(),
            keys: Arc::new(keys()),
            book: book.clone(),
            metrics: IssuanceMetrics::register(registry),
        };
        let settings = CommitQueueSettings::new("coupons", 20_000, 1_000);
        let metrics = QueueMetrics::register(registry);
        let (queue, writer) = CommitQueue::new(
            settings,
            commit,
            database,
            Tracing::disabled(),
            &metrics,
            stop.clone(),
        );
        tokio::spawn(writer);
        Self { queue, book, stop }
    }

    /// Makes the writer believe that so much is left of a lease on `campaign`; the database may know better.
    pub fn hold(&self, campaign: u32, lease: Uuid, left: &[(u8, u64)]) {
        let now = Instant::now();
        let held = HeldLease {
            id: lease,
            remaining: counts(left).into_iter().collect(),
            trace: TraceContext::new_root(false),
            held_since: now,
            spent_at: now,
        };
        self.book.lock().add(campaign_of(campaign), held);
    }

    pub async fn claim(&self, claim: Claim) -> Result<Claimed, NotCommitted> {
        self.commit(|reply| Work::Claim(claim, reply)).await
    }

    pub async fn commit<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, NotCommitted> {
        let trace = TraceContext::new_root(false);
        let submitted = self.queue.submit(work, trace, Instant::now() + PATIENCE);
        submitted.await.map(|(outcome, _)| outcome)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A claim on the first campaign for any tier, by a shopper who may hold one coupon.
pub fn claim(shopper: &str, request: &str) -> Claim {
    Claim {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        request_id: RequestId::parse(request).expect("a request id"),
        requested_tier: None,
        limit: 1,
        validity: VALIDITY,
        may_issue: true,
        granted_by: None,
    }
}

/// The coupon a claim was answered with, and whether it is a replay.
pub fn answered(outcome: Result<Claimed, NotCommitted>) -> Result<(StoredCoupon, bool)> {
    match outcome {
        Ok(Claimed::Issued(issued)) => Ok((issued.coupon, issued.replayed)),
        other => bail!("no coupon but {other:?}"),
    }
}

/// Installs a lease on the first campaign.
pub async fn install(
    pool: &PgPool,
    lease: Uuid,
    granted: &[(u8, u64)],
) -> Result<Installed, sqlx::Error> {
    let asked_on = timelines::read(pool, lane()).await?;
    let asked_on = asked_on.expect("a lane that was committed to");
    install_asked_on(pool, lease, granted, asked_on).await
}

/// Installs a lease on the first campaign that was asked for while the database was on that timeline.
pub async fn install_asked_on(
    pool: &PgPool,
    lease: Uuid,
    granted: &[(u8, u64)],
    asked_on: Timeline,
) -> Result<Installed, sqlx::Error> {
    let lease = LeaseToSeal {
        id: lease,
        campaign: campaign_of(1),
        lease_holder: lease_holder(),
    };
    let (granted, now) = (counts(granted), Timestamp::now_utc());
    leases::install(pool, lane(), &lease, &granted, asked_on, now).await
}

pub fn lease_holder() -> ReplicaId {
    ReplicaId::parse("issuance-0/0123abcd").expect("a lease holder's name")
}

/// The only lane.
pub fn lane() -> Lane {
    lanes().lane(0u16).expect("the first lane")
}

pub fn lanes() -> Lanes {
    Lanes::new(1u16).expect("one lane")
}

pub fn campaign_of(number: u32) -> CampaignNumber {
    CampaignNumber::new(number).expect("a campaign's number")
}

pub fn shopper_of(id: &str) -> ShopperId {
    ShopperId::parse(id).expect("a shopper's id")
}

pub fn tier_of(number: u8) -> TierNumber {
    TierNumber::new(number).expect("a tier's number")
}

/// Tiers with a count each.
pub fn counts(tiers: &[(u8, u64)]) -> TierCounts {
    tiers
        .iter()
        .map(|(tier, count)| (tier_of(*tier), *count))
        .collect()
}
