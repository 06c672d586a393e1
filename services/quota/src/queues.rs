//! The waiting rooms: counting what gateways report, and moving every queue on.
//!
//! There is no process that a queue depends on: whichever replica a report comes to moves the queue on by the time that has passed, under the lock of its row. A report without news of a campaign that nobody
//! waits for is answered by one read.

mod tidy;

use std::{collections::BTreeSet, time::Instant};

use tidegate_types::{CampaignNumber, Timestamp};

use crate::{
    Metrics, QuotaError,
    domain::{GatewayReport, QueueReport, QueueStanding},
    metrics::QueueShown,
    store::{FoundQueue, Store, Work, within_limit},
};

/// Cohorts that one standing tells.
const MAX_COHORTS_OF_STANDING: usize = 10_000;
/// Cohorts that one answer tells: it has to fit into one message.
const MAX_COHORTS_OF_ANSWER: usize = 50_000;

/// The waiting rooms of all campaigns.
#[derive(Clone)]
pub struct Queues {
    store: Store,
    metrics: Metrics,
}

/// A queue as it is now, with the version whose cohorts the gateway has to be told from.
struct Stood {
    found: FoundQueue,
    known_version: u64,
}

/// What moved a queue, to be counted once it is committed.
struct Moved {
    campaign: CampaignNumber,
    counted: (u64, u64, u64),
    shown: QueueShown,
}

impl Queues {
    /// Waiting rooms kept in a store.
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Counts a report, once however often it is sent, moves the queues it names on, and tells how they stand. Campaigns that do not exist are left out.
    pub async fn report(
        &self,
        report: &GatewayReport,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<QueueStanding>, QuotaError> {
        let campaigns: Vec<_> = report.queues.iter().map(|queue| queue.campaign).collect();
        let (found, standings) = within_limit(async {
            let mut read = self.store.begin_read().await?;
            let outcome = look(&mut read, report, &campaigns, now).await;
            read.end(outcome).await
        })
        .await?;
        if let Some(standings) = standings {
            return Ok(standings);
        }
        let (standings, moved) = within_limit(async {
            let mut work = self.store.begin(deadline).await?;
            let outcome = take_in(&mut work, report, &found, now).await;
            work.end(outcome).await
        })
        .await?;
        for moved in moved {
            self.metrics.queue_moved(moved.counted);
            self.metrics.queue_shown(moved.campaign, moved.shown);
        }
        Ok(standings)
    }
}

/// The campaigns that have to be written to, or, if there are none, how all of them stand.
async fn look(
    read: &mut Work,
    report: &GatewayReport,
    campaigns: &[CampaignNumber],
    now: Timestamp,
) -> Result<(ToMove, Option<Vec<QueueStanding>>), QuotaError> {
    let found = read.queues(campaigns).await?;
    let to_move = ToMove::of(report, &found, now);
    if !to_move.all.is_empty() {
        return Ok((to_move, None));
    }
    let stood = found.into_iter().map(|found| {
        let known_version = known_version(report, &found);
        Stood {
            found,
            known_version,
        }
    });
    let standings = tell(read, stood.collect(), now).await?;
    Ok((to_move, Some(standings)))
}

/// The campaigns whose queues a report moves.
struct ToMove {
    all: Vec<CampaignNumber>,
    /// Those of them that have no queue yet.
    new: Vec<CampaignNumber>,
}

impl ToMove {
    fn of(report: &GatewayReport, found: &[FoundQueue], now: Timestamp) -> Self {
        let moves = |found: &&FoundQueue| {
            let is_queueing = found.queue.is_queueing;
            report_of(report, found.campaign.number)
                .is_some_and(|report| report.has_news() || is_queueing && report.has_counts())
                || found.queue.is_to_be_moved(&found.campaign, now)
        };
        let all = found.iter().filter(moves);
        let new = all.clone().filter(|found| !found.exists);
        Self {
            new: new.map(|found| found.campaign.number).collect(),
            all: all.map(|found| found.campaign.number).collect(),
        }
    }
}

async fn take_in(
    work: &mut Work,
    report: &GatewayReport,
    to_move: &ToMove,
    now: Timestamp,
) -> Result<(Vec<QueueStanding>, Vec<Moved>), QuotaError> {
    let has_counts = report.queues.iter().any(QueueReport::has_counts);
    let is_new = has_counts
        && work
            .note_queue_report(&report.gateway, report.number, now)
            .await?;
    if !to_move.new.is_empty() {
        work.make_queues(&to_move.new).await?;
    }
    work.lock_queues(&to_move.all).await?;
    let campaigns: Vec<_> = report.queues.iter().map(|queue| queue.campaign).collect();
    let to_move: BTreeSet<_> = to_move.all.iter().copied().collect();
    let (mut stood, mut moved) = (Vec::new(), Vec::new());
    for mut found in work.queues(&campaigns).await? {
        let known_version = known_version(report, &found);
        let campaign = found.campaign.number;
        if let Some(queue) = report_of(report, campaign).filter(|_| to_move.contains(&campaign)) {
            let queue = if is_new {
                queue.clone()
            } else {
                queue.without_counts()
            };
            moved.push(move_on(work, &mut found, &queue, now).await?);
        }
        stood.push(Stood {
            found,
            known_version,
        });
    }
    Ok((tell(work, stood, now).await?, moved))
}

/// Counts what a gateway reports of one queue and moves it on, under its lock.
async fn move_on(
    work: &mut Work,
    found: &mut FoundQueue,
    report: &QueueReport,
    now: Timestamp,
) -> Result<Moved, QuotaError> {
    let (campaign, queue) = (&found.campaign, &mut found.queue);
    let version = queue.version;
    let (elapsed, changes) = queue.take_in(report, campaign, now);
    if !changes.is_empty() {
        work.add_to_cohorts(campaign.number, &changes, version)
            .await?;
    }
    let waiting = work
        .waiting_cohorts(campaign.number, queue.watermark.cohort)
        .await?;
    let version = queue.version;
    let passed = queue.advance(report, campaign, &waiting, elapsed, now);
    if !passed.is_empty() {
        let due_second = queue.serving_second(now);
        work.mark_cohorts_due(campaign.number, &passed, due_second, version)
            .await?;
    }
    work.save_queue(campaign.number, queue).await?;
    Ok(Moved {
        campaign: campaign.number,
        counted: report.totals(),
        shown: QueueShown::of(queue, campaign, &waiting, campaign.is_serving(now)),
    })
}

/// How queues stand, with what changed since the versions that the gateway knows.
async fn tell(
    work: &mut Work,
    stood: Vec<Stood>,
    now: Timestamp,
) -> Result<Vec<QueueStanding>, QuotaError> {
    let mut room = MAX_COHORTS_OF_ANSWER;
    let mut standings = Vec::with_capacity(stood.len());
    for Stood {
        found: FoundQueue {
            campaign, queue, ..
        },
        known_version,
    } in stood
    {
        let limit = room.min(MAX_COHORTS_OF_STANDING);
        let cohorts = if known_version < queue.version && limit > 0 {
            work.changed_cohorts(campaign.number, known_version, limit)
                .await?
        } else {
            Vec::new()
        };
        room -= cohorts.len();
        // A page that is full may not be the last.
        let version = match cohorts.last() {
            Some(last) if cohorts.len() == limit => last.version,
            None if limit == 0 => known_version,
            _ => queue.version,
        };
        standings.push(queue.standing(&campaign, version, cohorts, now));
    }
    Ok(standings)
}

fn report_of(report: &GatewayReport, campaign: CampaignNumber) -> Option<&QueueReport> {
    let place = report
        .queues
        .binary_search_by_key(&campaign, |queue| queue.campaign);
    place.ok().map(|place| &report.queues[place])
}

/// The version from which on a gateway is told. One that there has never been, of a database that was set back, counts as none.
fn known_version(report: &GatewayReport, found: &FoundQueue) -> u64 {
    let known = report_of(report, found.campaign.number).map_or(0, |queue| queue.known_version);
    if known > found.queue.version {
        0
    } else {
        known
    }
}
