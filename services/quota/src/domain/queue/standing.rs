use std::{collections::BTreeMap, time::Duration};

use tidegate_types::{CampaignNumber, Cohort, Timestamp, Turn};

use super::{PaceRange, Queue, QueueCampaign, QueueReport, law};

/// How a campaign's queue stands, as gateways are told.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSnapshot {
    pub campaign: CampaignNumber,
    pub is_queueing: bool,
    pub current_cohort: Cohort,
    /// For how long it has lasted: less than a second.
    pub current_cohort_age: Duration,
    /// Turns before this one have come.
    pub watermark: Turn,
    /// Turns before this one came too long ago.
    pub expired_before: Turn,
    /// How fast it went of late; `None` if nobody is served, or too little is known.
    pub pace: Option<PaceRange>,
    /// Claims that the gateways' windows allow each second.
    pub able_per_second: f64,
    pub waiting: BTreeMap<Cohort, u64>,
    pub remaining: u64,
}

/// The same, for people who look.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueStanding {
    pub snapshot: QueueSnapshot,
    /// When whoever has waited longest joined; the opening for those who came before it.
    pub oldest_joined_at: Option<Timestamp>,
    /// Turns that were called and have not come yet.
    pub called: u64,
    pub at_door: u64,
    pub credit: f64,
}

impl QueueStanding {
    pub fn waiting(&self) -> u64 {
        self.snapshot.waiting.values().sum()
    }
}

impl Queue {
    /// How it stands by what gateways have reported last.
    pub fn snapshot(
        &self,
        campaign: &QueueCampaign,
        reports: &[QueueReport],
        expired_before: Turn,
        now: Timestamp,
    ) -> QueueSnapshot {
        let is_served = self.is_queueing && campaign.is_serving(now);
        let waiting = law::waiting(reports, self.watermark, self.promises.share_kept());
        let waiting = waiting
            .into_iter()
            .map(|(cohort, coming)| (cohort, coming.all.ceil() as u64));
        let able: f64 = reports.iter().map(|report| report.able_per_second).sum();
        QueueSnapshot {
            campaign: campaign.number,
            is_queueing: self.is_queueing,
            current_cohort: self.current_cohort(now),
            current_cohort_age: Duration::from_millis(self.clock.at(now) % 1_000),
            watermark: self.watermark,
            expired_before,
            pace: self.pace.told().filter(|_| is_served),
            able_per_second: able,
            waiting: waiting.collect(),
            remaining: campaign.remaining(),
        }
    }

    /// How it stands by what gateways have reported last.
    pub fn standing(
        &self,
        campaign: &QueueCampaign,
        reports: &[QueueReport],
        now: Timestamp,
    ) -> QueueStanding {
        let snapshot = self.snapshot(campaign, reports, Turn::FIRST, now);
        let mut waiting = snapshot.waiting.iter();
        let oldest = waiting.find(|(_, waiting)| **waiting > 0);
        QueueStanding {
            oldest_joined_at: oldest.map(|(cohort, _)| joined_at(*cohort, campaign.opens_at)),
            called: law::called(reports, self.watermark).round() as u64,
            at_door: reports.iter().map(|report| report.at_door).sum(),
            credit: reports.iter().map(|report| report.can_take).sum(),
            snapshot,
        }
    }
}

/// The moment at which a cohort began: cohorts count the seconds since 1970.
fn joined_at(cohort: Cohort, opens_at: Timestamp) -> Timestamp {
    let seconds = i64::try_from(cohort.get()).ok();
    let began = seconds.and_then(|seconds| Timestamp::from_unix_timestamp(seconds).ok());
    began.map_or(opens_at, |began| began.max(opens_at))
}
