//! The waiting rooms: taking in what gateways report, and moving every queue on.
//!
//! There is no process that a queue depends on: whichever replica a report comes to moves the queue on, under the lock of its row. A report that changes nothing of a campaign that nobody waits for is answered by
//! reads.

mod tidy;

use std::{collections::BTreeMap, time::Instant};

use tidegate_types::{CampaignId, Timestamp, Turn};

use crate::{
    domain::{GatewayReport, Promises, QueueReport, QueueSnapshot, QueueStanding, TURNS_KEPT},
    error::QuotaError,
    metrics::{Metrics, QueueShown},
    store::{FoundQueue, KeptReport, Store, Work},
};

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
    ) -> Result<Vec<QueueSnapshot>, QuotaError> {
        let (moving, mut snapshots) = self
            .store
            .read(async |read| look(read, report, now).await)
            .await?;
        if moving.is_empty() {
            return Ok(snapshots);
        }
        let (stood, moved) = self
            .store
            .transaction(deadline, async |work| {
                take_in(work, report, &moving, now).await
            })
            .await?;
        for (stood, snapshot) in stood.iter().zip(&moved) {
            let shown = QueueShown::of(snapshot, &stood.found.campaign, &stood.reports);
            self.metrics.shown_queues.show(snapshot.campaign, shown);
        }
        snapshots.extend(moved);
        snapshots.sort_by_key(|snapshot| snapshot.campaign);
        Ok(snapshots)
    }

    /// How one campaign's queue stands, and what each gateway reported of it last.
    pub async fn standing(
        &self,
        id: &CampaignId,
        now: Timestamp,
    ) -> Result<(QueueStanding, Vec<KeptReport>), QuotaError> {
        self.store
            .read(async |read| standing(read, id, now).await)
            .await
    }
}

/// Reads without a lock: a report that is taken in meanwhile is seen or not, as it may be.
async fn standing(
    read: &mut Work,
    id: &CampaignId,
    now: Timestamp,
) -> Result<(QueueStanding, Vec<KeptReport>), QuotaError> {
    let campaign = read.campaign(id).await?.number;
    let found = read.queues(&[campaign]).await?;
    let found = found.into_iter().next();
    let found = found.ok_or(QuotaError::CampaignNotFound)?;
    let kept = read.queue_reports(campaign, None).await?;
    let reports: Vec<_> = kept.iter().map(|kept| kept.report.clone()).collect();
    let standing = found.queue.standing(&found.campaign, &reports, now);
    Ok((standing, kept))
}

/// The queues that have to be moved, and how all others stand.
async fn look(
    read: &mut Work,
    report: &GatewayReport,
    now: Timestamp,
) -> Result<(Vec<FoundQueue>, Vec<QueueSnapshot>), QuotaError> {
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
) -> Result<(Vec<Stood>, Vec<QueueSnapshot>), QuotaError> {
    let number = |found: &FoundQueue| found.campaign.number;
    let new: Vec<_> = moving.iter().filter(|found| !found.exists).collect();
    if !new.is_empty() {
        let new: Vec<_> = new.into_iter().map(number).collect();
        work.make_queues(&new).await?;
    }
    let campaigns: Vec<_> = moving.iter().map(number).collect();
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
) -> Result<Stood, QuotaError> {
    let kept = work
        .queue_reports(report.campaign, Some(&gateway.gateway))
        .await?;
    let before = kept.iter().find(|kept| kept.gateway == gateway.gateway);
    let is_newer = before.is_none_or(|before| before.number < gateway.number);
    let delta = ended_since(before, report);
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
        queue.advance(&reports, delta, campaign, now);
        let second = queue.serving_second(now);
        work.save_queue(campaign.number, queue, second).await?;
    }
    Ok(Stood { found, reports })
}

/// Promises that ended since a gateway's last report. If that no longer counts they did at no one knows what time, and only what happened of late is of use.
fn ended_since(before: Option<&KeptReport>, report: &QueueReport) -> Promises {
    before
        .filter(|before| before.still_counts)
        .map_or_else(Promises::default, |before| {
            report.promises_since(&before.report)
        })
}

async fn tell(
    work: &mut Work,
    stood: &[Stood],
    now: Timestamp,
) -> Result<Vec<QueueSnapshot>, QuotaError> {
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
    let snapshots = stood.iter().map(|stood| {
        let campaign = &stood.found.campaign;
        let expired = expired.get(&campaign.number).copied();
        let expired = expired.unwrap_or(Turn::FIRST);
        stood
            .found
            .queue
            .snapshot(campaign, &stood.reports, expired, now)
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
