use tidegate_types::{Cohort, Timestamp, Turn};

use super::{Queue, QueueCampaign, QueueReport, QueueSnapshot, law};

#[derive(Debug, Clone, PartialEq)]
pub struct QueueStanding {
    pub snapshot: QueueSnapshot,
    /// When whoever has waited longest joined; the opening for those who came before it.
    pub oldest_joined_at: Option<Timestamp>,
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
