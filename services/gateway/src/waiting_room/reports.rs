use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::quota::v1::{
    CohortReport, QueueReport, QueueStanding, ReportQueuesRequest,
    queue_service_client::QueueServiceClient,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replicas, with_context},
    refusal, wire,
};
use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, ReplicaId};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tonic::Code;

use super::{Heard, Moment, WaitingRoom, decode::word_from, queue::QueueNews};
use crate::{admission::Admission, campaigns::Campaigns};

const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// Those who watch their claims look again once in so many reports.
const REPORTS_PER_TICK: u64 = 5;
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Campaigns of one report at most.
const MAX_QUEUES: usize = 1_000;
/// The most characters of the replica's name in the gateway's; what follows tells this life of the process from the next.
const MAX_NAME_LENGTH: usize = 47;

/// Tells quota several times a second what happened here, and learns how the queues stand.
///
/// What has not been acknowledged is told again, as the same report, so that it is counted once.
pub struct Reporter {
    room: WaitingRoom,
    campaigns: Campaigns,
    admission: Arc<Admission>,
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
        room: WaitingRoom,
        campaigns: Campaigns,
        admission: Arc<Admission>,
        quota: Replicas,
        replica: &ReplicaId,
    ) -> Self {
        let name = replica.as_str();
        let name = name.get(..MAX_NAME_LENGTH).unwrap_or(name);
        Self {
            room,
            campaigns,
            admission,
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
        let mut not_taken_in = None;
        let mut number = 1;
        for turn in 0_u64.. {
            turns.tick().await;
            let report = not_taken_in.take().unwrap_or_else(|| self.report(number));
            let heard = self.tell(&report.request).await;
            self.room.note(heard, report.is_of_all);
            if heard == Heard::Standings {
                self.acknowledged.send_replace(number);
                number += 1;
            } else {
                not_taken_in = Some(report);
            }
            if turn % REPORTS_PER_TICK == 0 {
                self.room.0.ticks.send_replace(());
            }
        }
    }

    /// What happened since the report before.
    fn report(&self, report_number: u64) -> Report {
        let is_of_all = *self.campaigns.synced().borrow();
        let mut campaigns = self.campaigns.that_may_queue(Moment::now().utc);
        campaigns.truncate(MAX_QUEUES);
        self.room.keep_only(&campaigns);
        let queue_delay = self.admission.mean_delay_since_last();
        let queues = campaigns.into_iter().map(|campaign| {
            let news = self.room.queue(campaign).take_news();
            QueueReport {
                queue_delay: queue_delay.map(wire::duration),
                ..queue_report(campaign, &news)
            }
        });
        let request = ReportQueuesRequest {
            gateway_id: self.gateway_id.clone(),
            report_number,
            queues: queues.collect(),
        };
        Report { request, is_of_all }
    }

    /// Tells one replica of quota after the other until one has taken the report in.
    async fn tell(&self, report: &ReportQueuesRequest) -> Heard {
        if report.queues.is_empty() {
            return Heard::Standings;
        }
        let mut heard = Heard::Nothing;
        for replica in self.quota.in_turn(Instant::now()) {
            let trace = TraceContext::new_root(false);
            let request = with_context(report.clone(), trace, REPORT_TIMEOUT);
            let answer = QueueServiceClient::new(replica.channel())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
                .report_queues(request)
                .await;
            match answer {
                Ok(answer) => {
                    replica.answered();
                    self.hear(answer.into_inner().queues);
                    return Heard::Standings;
                }
                // A quota of an older version knows nothing of queues, and is well otherwise.
                Err(status) if status.code() == Code::Unimplemented => {
                    replica.answered();
                    heard = Heard::NoQueues;
                }
                Err(status) if refusal::reason_of(&status).is_some() => {
                    tracing::debug!(%status, "quota did not take a report of the queues; it is told again");
                    replica.answered();
                }
                Err(status) => {
                    tracing::debug!(%status, "a report of the queues got no answer; it is told again");
                    replica.failed(Instant::now());
                }
            }
        }
        heard
    }

    fn hear(&self, standings: Vec<QueueStanding>) {
        let now = Instant::now();
        for standing in standings {
            let campaign = standing.campaign_number;
            match word_from(standing, now) {
                Ok((campaign, word)) => self.room.queue(campaign).hear(word),
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

fn queue_report(campaign: CampaignNumber, news: &QueueNews) -> QueueReport {
    QueueReport {
        campaign_number: campaign.get(),
        cohorts: news
            .cohorts
            .iter()
            .map(|(cohort, news)| CohortReport {
                cohort: cohort.get(),
                joined: news.joined,
                served: news.served,
                left: news.left,
            })
            .collect(),
        wants_queue: news.wants_queue,
        queue_delay: None,
        known_version: news.known_version,
        issued: news.issued,
        kept: news.kept,
    }
}
