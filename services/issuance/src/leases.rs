//! Keeps a lane stocked: acquires leases ahead of need, and gives back what is used up or idle.

mod quota;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_telemetry::{FutureExt as _, TraceContext, note};
use tidegate_types::{CampaignNumber, Lane, Lanes, ReplicaId, TierNumber, Timestamp};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::instrument;
use uuid::Uuid;

pub use quota::QuotaClient;
use quota::{Acquired, QuotaAway};

use crate::{
    campaigns::News,
    domain::lease_book::{Denial, HeldLease, Outlook, Wanted},
    lane_work::SharedBook,
    metrics::IssuanceMetrics,
    store::{
        leases::{self, Installed, LeaseToSeal, TierCounts},
        timelines::{self, Timeline},
    },
};

const MEASURE_INTERVAL: Duration = Duration::from_millis(100);
const PAUSE_WHILE_AWAY: Duration = Duration::from_millis(250);
/// Sealed leases of one round that quota may fail to settle before the others wait for the next.
const MAX_FAILURES: u32 = 3;
/// Leases left behind by earlier lives that are given back at start.
const MAX_LEFT_BEHIND: u32 = 10_000;

/// What the stock of every lane is kept with.
#[derive(Clone)]
pub struct Lending {
    pub lease_holder: ReplicaId,
    pub pool: PgPool,
    pub quota: QuotaClient,
    pub metrics: IssuanceMetrics,
}

pub struct LaneStock {
    lane: Lane,
    book: SharedBook,
    lending: Lending,
    needed: Notify,
    changed: watch::Sender<u64>,
    /// Acquisitions and returns under way; closed once the replica is stopping.
    under_way: TaskTracker,
    /// Leases this lane has finished with and quota has not settled yet.
    unsettled: AtomicUsize,
}

impl LaneStock {
    pub fn new(lane: Lane, book: SharedBook, lending: Lending) -> Arc<Self> {
        Arc::new(Self {
            lane,
            book,
            lending,
            needed: Notify::new(),
            changed: watch::Sender::new(0),
            under_way: TaskTracker::new(),
            unsettled: AtomicUsize::new(0),
        })
    }

    /// Waits until something can be said to a claim that found no stock, until `until` at the latest.
    pub async fn wait(
        &self,
        campaign: CampaignNumber,
        tier: Option<TierNumber>,
        until: Instant,
    ) -> Outlook {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let outlook = self.book.lock().outlook(campaign, tier);
            if outlook != Outlook::Coming {
                return outlook;
            }
            self.needed.notify_one();
            if timeout_at(until.into(), changes.changed()).await.is_err() {
                return Outlook::Coming;
            }
        }
    }

    pub fn hear(&self, news: &News) {
        match news {
            News::Changed(campaign) => {
                // Budget may have been added, or a halt may be over.
                self.book.lock().forget_denial(*campaign);
                self.note_change();
            }
            News::Stock { campaign, free } => self.book.lock().tell_free(*campaign, free.clone()),
            News::StockUnknown => self.book.lock().forget_free(),
        }
    }

    /// Keeps the lane stocked until the task is aborted.
    pub async fn keep(self: Arc<Self>) {
        let mut ticks = interval(MEASURE_INTERVAL);
        // After a pause, ticks caught up on all at once would measure a demand that never was.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured = Instant::now();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let now = Instant::now();
                    self.book.lock().measure(now - measured);
                    measured = now;
                    self.return_finished(now);
                }
                () = self.needed.notified() => {}
            }
            if self.under_way.is_closed() {
                return;
            }
            let wanted = self.book.lock().wanted(Instant::now());
            for wanted in wanted {
                // Leases are few and explain many claims: their stories are always recorded.
                let story = TraceContext::new_root(true).context();
                let acquiring = Arc::clone(&self).acquire(wanted);
                self.under_way.spawn(acquiring.with_context(story));
            }
        }
    }

    /// Seals and gives back everything in hand; the last thing a stopping replica does.
    pub async fn return_all(&self) {
        // What is being acquired must arrive before all can be given back.
        self.under_way.close();
        self.under_way.wait().await;
        let held = self.book.lock().take_all();
        for (campaign, lease) in held {
            self.give_back(self.own(campaign, lease)).await;
        }
    }

    /// Gives back what earlier lives of this replica left behind in this lane.
    pub async fn return_left_behind(self: Arc<Self>, leases: Vec<LeaseToSeal>) {
        for lease in leases {
            self.give_back(lease).await;
        }
    }

    /// Has quota settle leases that are sealed, once each; whatever it does not answer now is left to another time.
    pub async fn settle_sealed(&self, leases: Vec<LeaseToSeal>) {
        let mut failures = 0;
        for lease in leases {
            // One that quota cannot answer must not keep the others from being settled.
            let settled = async { self.settle(lease.id, &self.seal(&lease).await?).await };
            failures += u32::from(settled.await.is_err());
            if failures == MAX_FAILURES {
                return;
            }
        }
    }

    fn return_finished(self: &Arc<Self>, now: Instant) {
        // Stock that others may need goes only as fast as quota takes it: while quota is away, what is in hand is all there is.
        let may_give_way = self.unsettled.load(Ordering::Relaxed) == 0;
        let mut book = self.book.lock();
        let finished = book.take_finished(now, may_give_way);
        let (leases, coupons) = book.totals();
        drop(book);
        self.lending.metrics.holding(self.lane, leases, coupons);
        for (campaign, lease) in finished {
            let (stock, lease) = (Arc::clone(self), self.own(campaign, lease));
            stock.unsettled.fetch_add(1, Ordering::Relaxed);
            self.under_way.spawn(async move {
                stock.give_back(lease).await;
                stock.unsettled.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn note_change(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    #[instrument(name = "acquire lease", skip_all)]
    async fn acquire(self: Arc<Self>, wanted: Wanted) {
        let campaign = wanted.campaign;
        let lease = self.own(campaign, Uuid::now_v7());
        let asked_on = self.timeline().await;
        let began = Instant::now();
        // The same id until there is an answer: a lost one may have granted.
        let (id, holder) = (lease.id, &self.lending.lease_holder);
        let acquire = || self.lending.quota.acquire(id, holder, self.lane, &wanted);
        let acquired = until_done(acquire, |QuotaAway| self.count_away()).await;
        let metrics = &self.lending.metrics;
        metrics
            .acquire_seconds
            .observe(began.elapsed().as_secs_f64());
        match acquired {
            Acquired::Granted(granted) => {
                let quantities = granted.iter().map(|(_, quantity)| *quantity as i64);
                note("tidegate.granted", quantities.sum::<i64>());
                let remaining = self.install(&lease, &granted, asked_on).await;
                let now = Instant::now();
                let held = HeldLease {
                    id: lease.id,
                    remaining: remaining.into_iter().collect(),
                    trace: TraceContext::current(),
                    held_since: now,
                    spent_at: now,
                };
                self.book.lock().add(campaign, held);
            }
            Acquired::Denied {
                tier_sold_out,
                pause,
            } => {
                let denial = Denial {
                    tier_sold_out,
                    ask_again_at: Instant::now() + pause,
                };
                self.book.lock().deny(campaign, denial);
            }
        }
        self.book.lock().acquired(campaign);
        self.note_change();
    }

    /// The timeline that the lane's writer has found; there is one once it has connected.
    async fn timeline(&self) -> Timeline {
        let read = || async {
            let timeline = timelines::read(&self.lending.pool, self.lane).await;
            timeline.map_err(Some)?.ok_or(None)
        };
        let failed = |error: Option<sqlx::Error>| {
            if let Some(error) = error {
                tracing::warn!(%error, lane = %self.lane, "no lease can be asked for while the lane's timeline cannot be read; it is tried again");
            }
        };
        until_done(read, failed).await
    }

    async fn install(
        &self,
        lease: &LeaseToSeal,
        granted: &TierCounts,
        asked_on: Timeline,
    ) -> TierCounts {
        let install = || {
            let now = Timestamp::now_utc();
            leases::install(&self.lending.pool, self.lane, lease, granted, asked_on, now)
        };
        let failed = |error| {
            tracing::warn!(%error, lease = %lease.id, "a granted lease cannot be installed yet; it is tried again");
        };
        match until_done(install, failed).await {
            Installed::Fresh => granted.clone(),
            Installed::Before(remaining) => remaining,
        }
    }

    fn count_away(&self) {
        self.lending.metrics.quota_away.inc();
    }

    fn own(&self, campaign: CampaignNumber, id: Uuid) -> LeaseToSeal {
        LeaseToSeal {
            id,
            campaign,
            lease_holder: self.lending.lease_holder.clone(),
        }
    }

    /// Seals the lease, then tells quota what was used. Tried until it works; what a crash interrupts
    /// is done at the next start. Quota may have sealed and settled it first: then both say the same,
    /// and nothing changes.
    async fn give_back(&self, lease: LeaseToSeal) {
        let used = until_done(|| self.seal(&lease), drop).await;
        self.lending.metrics.seals.inc();
        until_done(|| self.settle(lease.id, &used), drop).await;
        // Others may have been told that nothing is free.
        self.note_change();
    }

    /// Seals a lease and tells what was used of it. Sealing again changes nothing.
    async fn seal(&self, lease: &LeaseToSeal) -> Result<TierCounts, NotNow> {
        let sealed = leases::seal(&self.lending.pool, self.lane, std::slice::from_ref(lease)).await;
        let sealed = sealed.map_err(|error| {
            tracing::warn!(%error, lease = %lease.id, "a lease cannot be sealed yet; it is tried again");
            NotNow
        })?;
        Ok(sealed.into_iter().flat_map(|sealed| sealed.used).collect())
    }

    /// Tells quota what was used of a sealed lease and notes that it is settled. Settling again changes nothing.
    async fn settle(&self, id: Uuid, used: &TierCounts) -> Result<(), NotNow> {
        let settled = self.lending.quota.settle(id, used).await;
        settled.map_err(|QuotaAway| {
            self.count_away();
            NotNow
        })?;
        let (pool, now) = (&self.lending.pool, Timestamp::now_utc());
        let marked = leases::mark_returned(pool, self.lane, id, now).await;
        marked.map_err(|error| {
            tracing::warn!(%error, lease = %id, "a settled lease cannot be marked yet; it is tried again");
            NotNow
        })
    }
}

/// It did not work this time, which is logged or counted.
struct NotNow;

/// Attempts something until it works, with a pause after each failure.
async fn until_done<T, E, Attempt: Future<Output = Result<T, E>>>(
    attempt: impl Fn() -> Attempt,
    failed: impl Fn(E),
) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => failed(error),
        }
        sleep(PAUSE_WHILE_AWAY).await;
    }
}

pub async fn left_behind(
    Lending {
        pool, lease_holder, ..
    }: &Lending,
    lanes: Lanes,
) -> sqlx::Result<BTreeMap<Lane, Vec<LeaseToSeal>>> {
    let mut by_lane = BTreeMap::<_, Vec<_>>::new();
    for (lane, lease) in leases::unreturned(pool, lanes, lease_holder, MAX_LEFT_BEHIND).await? {
        by_lane.entry(lane).or_default().push(lease);
    }
    Ok(by_lane)
}
