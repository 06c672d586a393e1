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
    lane_work::{Claim, Done, LaneCommit, SharedBook, Work},
    metrics::IssuanceMetrics,
    store::{
        leases::{self, Installed, LeaseToSeal, TierCounts},
        timelines::{self, Timeline},
    },
};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, NotCommitted, QueueMetrics};
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

// An unwrap here says what the test expects.
#[allow(clippy::unwrap_used)]
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
    pub async fn create() -> Result<Self> {
        let database = TestDatabase::create().await?;
        let pool = database.open()?.pool(8);
        timelines::follow(&mut *pool.acquire().await?, lane()).await?;
        Ok(Self { database, pool })
    }

    /// Installs a lease on the first campaign.
    pub async fn lease(&self, granted: &[(u8, u64)]) -> Result<Uuid> {
        let lease = Uuid::now_v7();
        match install(&self.pool, lease, granted).await? {
            Installed::Fresh => Ok(lease),
            Installed::Before(left) => bail!("a new lease was there before, with {left:?} left"),
        }
    }

    /// A writer over connections of its own.
    pub fn writer(&self) -> Result<Writer> {
        Ok(Writer::start(
            self.database.open()?,
            &mut Registry::default(),
        ))
    }

    /// Tiers of leases whose `used` differs from the coupons that were issued from them, and coupons of leases that are not there.
    pub async fn unbalanced(&self) -> Result<Vec<(Option<Uuid>, Option<i64>, Option<i64>)>> {
        Ok(sqlx::query_as(
            "WITH issued AS (SELECT lane, lease_id, tier_number, count(*) AS coupons FROM coupons GROUP BY lane, lease_id, tier_number)
             SELECT lease_id, used, coupons FROM lease_counts FULL JOIN issued USING (lane, lease_id, tier_number)
             WHERE used IS DISTINCT FROM coalesce(coupons, 0)",
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// How many coupons there are.
    pub async fn issued(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM coupons")
            .fetch_one(&self.pool)
            .await?)
    }
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

    pub async fn claim(&self, claim: Claim) -> Result<Done, NotCommitted> {
        self.commit(Work::Claim(claim)).await
    }

    pub async fn commit(&self, work: Work) -> Result<Done, NotCommitted> {
        let trace = TraceContext::new_root(false);
        let submitted = self.queue.submit(work, trace, Instant::now() + PATIENCE);
        submitted.await.map(|(done, _)| done)
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
pub fn answered(done: Result<Done, NotCommitted>) -> Result<(StoredCoupon, bool)> {
    match done {
        Ok(Done::Issued {
            coupon, replayed, ..
        }) => Ok((*coupon, replayed)),
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
        holder: holder(),
    };
    let (granted, now) = (counts(granted), Timestamp::now_utc());
    leases::install(pool, lane(), &lease, &granted, asked_on, now).await
}

pub fn holder() -> ReplicaId {
    ReplicaId::parse("issuance-0/0123abcd").expect("a holder's name")
}

/// The only lane.
pub fn lane() -> Lane {
    let lanes = Lanes::new(1u16).expect("one lane");
    lanes.lane(0u16).expect("the first lane")
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
