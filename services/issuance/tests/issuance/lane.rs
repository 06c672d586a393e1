//! One lane of a real database, its stock, and writers that commit to it.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sqlx::{PgConnection, PgPool};
use tidegate_issuance::{
    coupon_keys::CouponKeys,
    domain::{claim::Claim, coupon::StoredCoupon, lease_book::HeldLease},
    lane_work::{Claimed, LaneCommit, SharedBook, Work},
    metrics::IssuanceMetrics,
    store::{
        MIGRATIONS,
        coupons::{self, IssueOutcome, IssueRow},
        leases::{self, Installed, LeaseToSeal, SealedLease, TierCounts},
        timelines::{self, Timeline},
    },
};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, NotCommitted, QueueMetrics, Reply};
use tidegate_telemetry::{Registry, TraceContext};
use tidegate_test_kit::TestDatabase;
use tidegate_types::{
    CampaignNumber, Lane, Lanes, ReplicaId, RequestId, ShopperId, TierNumber, Timestamp,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough that no claim of a test runs out of time.
const PATIENCE: Duration = Duration::from_secs(60);
const VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
/// The key new codes are made with.
const KEY_ID: u8 = 1;

#[derive(Clone)]
pub struct TestLane {
    pub database: Arc<TestDatabase>,
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
        let database = Arc::new(TestDatabase::migrated(&MIGRATIONS).await);
        let pool = database.open().pool(8);
        let lane = Self { database, pool };
        let mut connection = lane.connect().await;
        let following = timelines::follow(&mut connection, only_lane()).await;
        following.unwrap();
        lane
    }

    /// A connection as writers have it.
    pub async fn connect(&self) -> PgConnection {
        self.database.open().connect_writer().await.unwrap()
    }

    /// Installs a lease on the first campaign.
    pub async fn lease(&self, granted: &[(u8, u64)]) -> Uuid {
        let lease = Uuid::now_v7();
        assert_eq!(self.install(lease, granted).await, Installed::Fresh);
        lease
    }

    /// Installs a lease on the first campaign.
    pub async fn install(&self, lease: Uuid, granted: &[(u8, u64)]) -> Installed {
        let asked_on = self.timeline().await;
        self.install_asked_on(lease, granted, asked_on).await
    }

    pub async fn timeline(&self) -> Timeline {
        let read = timelines::read(&self.pool, only_lane()).await.unwrap();
        read.expect("a lane that was committed to")
    }

    /// Installs a lease on the first campaign that was asked for while the database was on that timeline.
    pub async fn install_asked_on(
        &self,
        lease: Uuid,
        granted: &[(u8, u64)],
        asked_on: Timeline,
    ) -> Installed {
        let (granted, now) = (counts(granted), Timestamp::now_utc());
        let lease = to_seal(lease);
        leases::install(&self.pool, only_lane(), &lease, &granted, asked_on, now)
            .await
            .unwrap()
    }

    pub async fn seal_all(&self, leases: &[Uuid]) -> Vec<SealedLease> {
        let leases: Vec<_> = leases.iter().copied().map(to_seal).collect();
        let sealed = leases::seal(&self.pool, only_lane(), &leases).await;
        sealed.unwrap()
    }

    /// Seals one and tells what was used of it.
    pub async fn seal(&self, lease: Uuid) -> TierCounts {
        let sealed = self.seal_all(&[lease]).await.into_iter();
        sealed.flat_map(|sealed| sealed.used).collect()
    }

    pub async fn mark_returned(&self, lease: Uuid) {
        let now = Timestamp::now_utc();
        let marked = leases::mark_returned(&self.pool, only_lane(), lease, now).await;
        marked.unwrap();
    }

    /// A writer over connections of its own.
    pub fn writer(&self) -> Writer {
        Writer::start(self.database.open(), &mut Registry::default())
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

    pub async fn issued(&self) -> i64 {
        self.database.count("coupons").await
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
        let keys = tempfile::NamedTempFile::new().unwrap();
        fs::write(keys.path(), keys_json(KEY_ID, &[KEY_ID])).unwrap();
        let commit = LaneCommit {
            lane: only_lane(),
            keys: Arc::new(CouponKeys::load(keys.path()).unwrap()),
            book: book.clone(),
            metrics: IssuanceMetrics::register(registry),
        };
        let settings = CommitQueueSettings::new("coupons", 20_000, 1_000);
        let metrics = QueueMetrics::register(registry);
        let (queue, writer) = CommitQueue::new(settings, commit, database, &metrics, stop.clone());
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

    /// The coupon that a claim is answered with, and whether it is a replay.
    pub async fn claim_coupon(&self, claim: Claim) -> (StoredCoupon, bool) {
        match self.claim(claim).await {
            Ok(Claimed::Issued(issued)) => (issued.coupon, issued.replayed),
            other => panic!("no coupon but {other:?}"),
        }
    }

    pub async fn commit<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, NotCommitted> {
        let submitted = self.queue.submit(work, Instant::now() + PATIENCE);
        submitted.await.map(|(outcome, _)| outcome)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A file of coupon keys; each of them is a byte, repeated.
pub fn keys_json(active: u8, keys: &[u8]) -> String {
    let keys = keys.iter().map(|key| {
        let secret = BASE64_STANDARD.encode([*key; 32]);
        (key.to_string(), serde_json::Value::String(secret))
    });
    let keys: serde_json::Map<_, _> = keys.collect();
    serde_json::json!({ "active": active, "keys": keys }).to_string()
}

/// A claim on the first campaign for any tier, by a shopper who may hold one coupon.
pub fn claim(shopper: &str, request: &str) -> Claim {
    Claim {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        request_id: RequestId::parse(request).unwrap(),
        requested_tier: None,
        limit: 1,
        validity: VALIDITY,
        may_issue: true,
        granted_by: None,
    }
}

/// Runs the issuing statement for claims, each with the lease and the tier that it is assigned to.
pub async fn issue(
    connection: &mut PgConnection,
    claims: &[(Claim, Option<(Uuid, u8)>)],
) -> Vec<IssueOutcome> {
    let rows = claims.iter().map(|(claim, assigned)| IssueRow {
        claim,
        assigned: assigned.map(|(lease, tier)| (lease, tier_of(tier))),
        trace: TraceContext::new_root(false),
    });
    let (rows, now) = (rows.collect::<Vec<_>>(), Timestamp::now_utc());
    let issued = coupons::issue(connection, (only_lane(), KEY_ID), now, &rows).await;
    issued.unwrap()
}

fn to_seal(lease: Uuid) -> LeaseToSeal {
    LeaseToSeal {
        id: lease,
        campaign: campaign_of(1),
        lease_holder: lease_holder(),
    }
}

pub fn lease_holder() -> ReplicaId {
    ReplicaId::parse("issuance-0/0123abcd").unwrap()
}

pub fn lanes() -> Lanes {
    Lanes::new(1u16).unwrap()
}

pub fn only_lane() -> Lane {
    lanes().lane(0u16).unwrap()
}

pub fn campaign_of(number: u32) -> CampaignNumber {
    CampaignNumber::new(number).unwrap()
}

pub fn shopper_of(id: &str) -> ShopperId {
    ShopperId::parse(id).unwrap()
}

pub fn tier_of(number: u8) -> TierNumber {
    TierNumber::new(number).unwrap()
}

/// Tiers with a count each.
pub fn counts(tiers: &[(u8, u64)]) -> TierCounts {
    let tiers = tiers.iter();
    tiers
        .map(|(tier, count)| (tier_of(*tier), *count))
        .collect()
}
