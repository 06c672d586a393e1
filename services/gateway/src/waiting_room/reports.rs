use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tidegate_proto::quota::v1::{
    CohortWaiting, QueueReport, QueueSnapshot, ReportQueuesRequest,
    queue_service_client::QueueServiceClient,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replicas, RetryPolicy},
};
use tidegate_types::{CampaignNumber, ReplicaId};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    Moment, WaitingRoom,
    decode::snapshot_from,
    queue::{Queue, QueueState},
};
use crate::{
    campaigns::Campaigns,
    domain::{tuning::REPORT_INTERVAL, windows::Capacity},
    permits::Permits,
};

const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Campaigns of one report at most.
const MAX_QUEUES: usize = 1_000;
/// Cohorts of one campaign at most; those behind them have nothing to hope for soon.
const MAX_COHORTS: usize = 10_000;
/// The most characters of the replica's name in the gateway's; what follows tells this life of the
/// process from the next.
const MAX_NAME_LENGTH: usize = 47;

/// Tells quota several times a second how the queues stand here, and learns how the queues stand.
///
/// A report tells how things stand, so one that is lost is made good by the next.
pub struct Reporter {
    waiting_room: WaitingRoom,
    campaigns: Campaigns,
    permits: Arc<Permits>,
    quota: Replicas,
    gateway_id: String,
    acknowledged: watch::Sender<u64>,
}

/// A report on its way.
struct Report {
    request: ReportQueuesRequest,
    /// Whether every campaign was known when it was made.
    is_of_all: bool,
}

impl Reporter {
    /// A reporter for one life of this process.
    pub fn new(
        waiting_room: WaitingRoom,
        campaigns: Campaigns,
        permits: Arc<Permits>,
        quota: Replicas,
        replica: &ReplicaId,
    ) -> Self {
        let name = replica.as_str();
        let name = name.get(..MAX_NAME_LENGTH).unwrap_or(name);
        Self {
            waiting_room,
            campaigns,
            permits,
            quota,
            gateway_id: format!("{name}/{:016x}", rand::random::<u64>()),
            acknowledged: watch::Sender::new(0),
        }
    }

    /// The number of the last report that was acknowledged.
    pub fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// Reports until aborted.
    pub async fn run(self) {
        let mut turns = interval(REPORT_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 1;
        loop {
            turns.tick().await;
            let report = self.report(number);
            if self.tell(&report.request).await {
                self.waiting_room.note(report.is_of_all);
                self.acknowledged.send_replace(number);
            }
            number += 1;
        }
    }

    fn report(&self, report_number: u64) -> Report {
        let is_of_all = *self.campaigns.synced().borrow();
        let mut campaigns = self.campaigns.that_may_queue(Moment::now().utc);
        campaigns.truncate(MAX_QUEUES);
        self.waiting_room.keep_only(&campaigns);
        self.permits.grant_by_pace();
        self.waiting_room
            .0
            .metrics
            .pace
            .set(self.permits.pace_per_second());
        let (capacity, at_door) = (self.permits.measure(), self.permits.turns_waiting());
        let able = capacity.able_per_second.to_bits();
        self.waiting_room
            .0
            .able_per_second
            .store(able, Ordering::Relaxed);
        let now = Instant::now();
        let queues: Vec<_> = campaigns
            .into_iter()
            .map(|campaign| (campaign, self.waiting_room.queue(campaign)))
            .collect();
        let is_queueing = |(_, queue): &&(_, Arc<Queue>)| queue.is_queueing(now);
        let queueing = queues.iter().filter(is_queueing).count();
        // Campaigns that have a queue at one time share what the windows can take.
        let share = 1.0 / queueing.max(1) as f64;
        let reports = queues.iter().map(|(campaign, queue)| {
            let at_door = (at_door as f64 * share) as u64;
            queue_report(*campaign, queue.report(now), capacity.times(share), at_door)
        });
        let request = ReportQueuesRequest {
            gateway_id: self.gateway_id.clone(),
            report_number,
            queues: reports.collect(),
        };
        if queues.iter().any(|(_, queue)| queue.has_waiting(now)) {
            let idle = self.permits.idle() * REPORT_INTERVAL.as_secs_f64();
            self.waiting_room.0.metrics.idle_permits.inc_by(idle);
        }
        Report { request, is_of_all }
    }

    /// Tells one replica of quota after the other until one has taken the report in; false if none
    /// has, and the report is to come again.
    async fn tell(&self, report: &ReportQueuesRequest) -> bool {
        if report.queues.is_empty() {
            return true;
        }
        let answer = self
            .quota
            .call(
                RetryPolicy::each_in_turn(REPORT_TIMEOUT),
                || report.clone(),
                |channel, request| async move {
                    QueueServiceClient::new(channel)
                        .max_decoding_message_size(MAX_MESSAGE_BYTES)
                        .max_encoding_message_size(MAX_MESSAGE_BYTES)
                        .report_queues(request)
                        .await
                },
            )
            .await;
        if let Ok(answer) = &answer {
            self.apply(&answer.queues);
        }
        answer.is_ok()
    }

    fn apply(&self, told: &[QueueSnapshot]) {
        let now = Instant::now();
        for queue in told {
            let campaign = queue.campaign_number;
            match snapshot_from(queue, now) {
                Ok((campaign, snapshot)) => self.waiting_room.queue(campaign).apply(snapshot),
                Err(error) => {
                    tracing::error!(
                        campaign,
                        %error,
                        "quota told of a queue what this version cannot read; it stands still here until that changes"
                    );
                }
            }
        }
    }
}

fn queue_report(
    campaign: CampaignNumber,
    state: QueueState,
    capacity: Capacity,
    at_door: u64,
) -> QueueReport {
    let waiting = state.waiting.into_iter().take(MAX_COHORTS);
    QueueReport {
        campaign_number: campaign.get(),
        wants_queue: state.wants_queue,
        can_take: capacity.can_take,
        served_per_second: capacity.served_per_second,
        able_per_second: capacity.able_per_second,
        at_door,
        watermark_cohort: state.watermark.cohort.get(),
        watermark_draw: state.watermark.draw,
        due_soon: state.due_soon,
        waiting: waiting
            .map(|(cohort, waiting)| CohortWaiting {
                cohort: cohort.get(),
                held: waiting.held,
                promised: waiting.promised,
                promised_soon: waiting.promised_soon,
            })
            .collect(),
        promises_ended: state.promises_ended,
        promises_kept: state.promises_kept,
    }
}
