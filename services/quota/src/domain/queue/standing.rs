use std::time::Duration;

use tidegate_types::{CampaignNumber, Timestamp};

use super::{Cohort, CohortStanding, Queue, QueueCampaign, Watermark};

/// How a campaign's queue stands, as gateways are told.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueStanding {
    /// Of which campaign.
    pub campaign: CampaignNumber,
    /// Whether new claims take a ticket.
    pub is_queueing: bool,
    /// The cohort of those who join now.
    pub current_cohort: Cohort,
    /// For how long it has lasted: less than a second.
    pub current_cohort_age: Duration,
    /// Whose turn has come.
    pub watermark: Watermark,
    /// Tickets that become due each second; `None` if that is not known, or nobody's turn can come at present.
    pub pace: Option<ToldPace>,
    /// The version that is told: that of the queue, or of the last cohort if there are more than are told.
    pub version: u64,
    /// Cohorts that changed since the version that the gateway knew.
    pub cohorts: Vec<CohortStanding>,
    /// Cohorts before this one are forgotten.
    pub oldest_cohort: Cohort,
    /// Coupons that can be issued at most.
    pub remaining: u64,
    /// The second of serving time.
    pub serving_second: u64,
}

/// How fast a queue goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToldPace {
    /// Now.
    pub per_second: f64,
    /// The slowest that is likely.
    pub slowest_per_second: f64,
    /// The fastest that is likely.
    pub fastest_per_second: f64,
}

impl Queue {
    /// How it stands; `cohorts` are those that changed and are told.
    pub fn standing(
        &self,
        campaign: &QueueCampaign,
        version: u64,
        cohorts: Vec<CohortStanding>,
        now: Timestamp,
    ) -> QueueStanding {
        let is_served = self.is_queueing && campaign.is_serving(now);
        let expected = self.pace.expected().filter(|_| is_served);
        QueueStanding {
            campaign: campaign.number,
            is_queueing: self.is_queueing,
            current_cohort: self.current_cohort(now),
            current_cohort_age: Duration::from_millis(self.clock.at(now) % 1_000),
            watermark: self.watermark,
            pace: expected.map(|(slowest_per_second, fastest_per_second)| ToldPace {
                per_second: self.pace.per_second,
                slowest_per_second,
                fastest_per_second,
            }),
            version,
            cohorts,
            oldest_cohort: self.oldest_cohort,
            remaining: campaign.remaining(),
            serving_second: self.serving_second(now),
        }
    }
}
