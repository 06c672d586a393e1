//! The waiting rooms: taking in what gateways report, and moving every queue on.
//!
//! There is no process that a queue depends on: whichever replica a report comes to moves the queue on, under the lock of its row. A report that changes nothing of a campaign that nobody waits for is answered by
//! reads.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidegate_types::{CampaignId, Timestamp, Turn};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{GatewayReport, QueueReport, QueueSnapshot, QueueStanding, TURNS_KEPT},
    error::{QuotaError, Result},
    metrics::Metrics,
    outage::Outage,
    store::{FoundQueue, KeptReport, Store, Work},
};

/// How often what is over is forgotten, and how many rows of a kind at once.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
const MAX_FORGOTTEN: i64 = 10_000;
/// A waiting room is kept for so long after its campaign.
const KEPT_AFTER_END: Duration = Duration::from_secs(3_600);
/// Far longer than a report may be on its way: one that comes after that is taken for a new one.
const REPORTS_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Work that waits longer for a connection is left to the next round.
const TIDY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Queues {
    store: Store,
    metrics: Metrics,
}

/// A queue as it is now, and what gateways reported of it last.
struct Stood {
    found: FoundQueue,
    reports: Vec<QueueReport>,
}

impl Queues {
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Takes in a report, moves on the queues that it changes, and answers with all that it names. Campaigns that do not exist are left out.
    pub async fn report(
        &self,
        report: &GatewayReport,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<QueueSnapshot>> {
        let looked = self.store.read(async |read| look(read, report, now).await);
        let (moving, mut snapshots) = looked.await?;
        if moving.is_empty() {
            return Ok(snapshots);
        }
        let taken = self.store.transaction(deadline, async |work| {
            take_in(work, report, &moving, now).await
        });
        let (stood, moved) = taken.await?;
        for (stood, snapshot) in stood.iter().zip(&moved) {
            let shown = &self.metrics.shown_queues;
            shown.show(snapshot, &stood.found.campaign, &stood.reports);
        }
        snapshots.extend(moved);
        snapshots.sort_by_key(|snapshot| snapshot.campaign);
        Ok(snapshots)
    }

    /// How one campaign's queue stands, and what each gateway reported of it last. Reads without a lock: a report that is taken in meanwhile is seen or not, as it may be.
    pub async fn standing(
        &self,
        id: &CampaignId,
        now: Timestamp,
    ) -> Result<(QueueStanding, Vec<KeptReport>)> {
        let standing = self.store.read(async |read| {
            let campaign = read.campaign(id).await?.number;
            let found = read.queues(&[campaign]).await?.pop();
            let found = found.ok_or(QuotaError::CampaignNotFound)?;
            let kept = read.queue_reports(campaign, None).await?;
            let reports: Vec<_> = kept.iter().map(|kept| kept.report.clone()).collect();
            let standing = found.queue.standing(&found.campaign, &reports, now);
            Ok((standing, kept))
        });
        standing.await
    }

    /// Forgets what is over until `stop` is cancelled. Any number of replicas may do so at once.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let mut outage = Outage::default();
        while !stop.is_cancelled() {
            outage.note(
                &self.tidy(Timestamp::now_utc()).await,
                "what is over of waiting rooms cannot be forgotten: their tables grow, and nobody's turn is touched by that; look at the database, this goes on by itself when it is back",
                "what is over of waiting rooms is forgotten again",
            );
            stop.run_until_cancelled(sleep(TIDY_INTERVAL)).await;
        }
    }

    /// Forgets turns that have expired, gateways that have ended, and the waiting rooms of campaigns that are long over.
    pub async fn tidy(&self, now: Timestamp) -> Result {
        let deadline = Instant::now() + TIDY_TIMEOUT;
        let tidied = self.store.transaction(deadline, async |work| {
            work.forget_queues(now - KEPT_AFTER_END, MAX_FORGOTTEN)
                .await?;
            work.forget_queue_reports(REPORTS_KEPT, MAX_FORGOTTEN)
                .await?;
            work.forget_queue_marks(TURNS_KEPT, MAX_FORGOTTEN).await
        });
        tidied.await
    }
}

/// The queues that have to be moved, and how all others stand.
async fn look(
    read: &mut Work,
    report: &GatewayReport,
    now: Timestamp,
) -> Result<(Vec<FoundQueue>, Vec<QueueSnapshot>)> {
    let campaigns: Vec<_> = report.queues.iter().map(|queue| queue.campaign).collect();
    let found = read.queues(&campaigns).await?;
    let (moving, resting): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| {
        let report = report.of(found.campaign.number);
        found.queue.is_queueing || report.is_some_and(QueueReport::has_changes)
    });
    let resting: Vec<_> = resting.into_iter().map(Stood::resting).collect();
    let snapshots = tell(read, &resting, now).await?;
    Ok((moving, snapshots))
}

async fn take_in(
    work: &mut Work,
    report: &GatewayReport,
    moving: &[FoundQueue],
    now: Timestamp,
) -> Result<(Vec<Stood>, Vec<QueueSnapshot>)> {
    let numbers = |is_one: fn(&&FoundQueue) -> bool| -> Vec<_> {
        let these = moving.iter().filter(is_one);
        these.map(|found| found.campaign.number).collect()
    };
    let new = numbers(|found| !found.exists);
    if !new.is_empty() {
        work.make_queues(&new).await?;
    }
    let campaigns = numbers(|_| true);
    work.lock_queues(&campaigns).await?;
    let mut stood = Vec::with_capacity(campaigns.len());
    for found in work.queues(&campaigns).await? {
        // One of a campaign that is long over may have been forgotten meanwhile.
        let is_locked = found.exists;
        stood.push(match report.of(found.campaign.number) {
            Some(queue) if is_locked => move_on(work, report, queue, found, now).await?,
            _ => Stood::resting(found),
        });
    }
    let snapshots = tell(work, &stood, now).await?;
    Ok((stood, snapshots))
}

/// Takes in what a gateway reports of one queue and moves it on, under its lock. A report that is not newer than the last of the same gateway changes nothing.
async fn move_on(
    work: &mut Work,
    gateway: &GatewayReport,
    report: &QueueReport,
    mut found: FoundQueue,
    now: Timestamp,
) -> Result<Stood> {
    let kept = work
        .queue_reports(report.campaign, Some(&gateway.gateway))
        .await?;
    let before = kept.iter().find(|kept| kept.gateway == gateway.gateway);
    let is_newer = before.is_none_or(|before| before.number < gateway.number);
    // If the last report no longer counts, promises ended at no one knows what time, and only what happened of late is of use.
    let ended = before
        .filter(|before| before.still_counts)
        .map(|before| report.promises_since(&before.report))
        .unwrap_or_default();
    let counting = kept
        .into_iter()
        .filter(|kept| kept.still_counts && !(is_newer && kept.gateway == gateway.gateway));
    let mut reports: Vec<_> = counting.map(|kept| kept.report).collect();
    if is_newer {
        reports.push(report.clone());
        let FoundQueue {
            campaign, queue, ..
        } = &mut found;
        work.save_queue_report(&gateway.gateway, gateway.number, report)
            .await?;
        queue.advance(&reports, ended, campaign, now);
        let second = queue.serving_second(now);
        work.save_queue(campaign.number, queue, second).await?;
    }
    Ok(Stood { found, reports })
}

async fn tell(work: &mut Work, stood: &[Stood], now: Timestamp) -> Result<Vec<QueueSnapshot>> {
    let known = stood.iter().map(|stood| &stood.found);
    let expires: Vec<_> = known
        .filter(|found| found.exists)
        .map(|found| {
            let second = found.queue.serving_second(now);
            let expires = second.saturating_sub(TURNS_KEPT.as_secs());
            (found.campaign.number, expires)
        })
        .collect();
    let expired = if expires.is_empty() {
        BTreeMap::new()
    } else {
        work.turns_before(&expires).await?
    };
    let snapshots = stood.iter().map(|Stood { found, reports }| {
        let campaign = &found.campaign;
        let expired = expired.get(&campaign.number).copied();
        let expired = expired.unwrap_or(Turn::FIRST);
        found.queue.snapshot(campaign, reports, expired, now)
    });
    Ok(snapshots.collect())
}

impl Stood {
    fn resting(found: FoundQueue) -> Self {
        Self {
            found,
            reports: Vec::new(),
        }
    }
}
