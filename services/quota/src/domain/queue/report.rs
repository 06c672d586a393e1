use tidegate_types::{CampaignNumber, Cohort, ReplicaId, Turn};

use super::Promises;

/// How all queues stand at one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayReport {
    /// One life of a gateway process.
    pub gateway: ReplicaId,
    pub number: u64,
    /// Campaign by campaign, in the order of their numbers.
    pub queues: Vec<QueueReport>,
}

/// How one campaign's queue stands at one gateway. Nothing in it is a difference to an earlier report: one that is lost is made good by the next.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueReport {
    pub campaign: CampaignNumber,
    /// Whether the gateway could not serve at once all that came.
    pub wants_queue: bool,
    /// Claims that could go to issuance until the report after the next.
    pub can_take: f64,
    /// Coupons that issuance answered with, each second.
    pub served_per_second: f64,
    /// Claims that could be served each second if the windows were full, as far as was tried.
    pub able_per_second: f64,
    pub at_door: u64,
    /// What was known of the watermark when this was counted.
    pub watermark: Turn,
    /// Shoppers whose turns have come and who promised to be there soon.
    pub due_soon: u64,
    /// Those whose turns have not come, in the order of their cohorts.
    pub waiting: Vec<CohortWaiting>,
    /// Promises of turns that had come, and how many of those were kept, since the gateway began.
    pub promises_ended: u64,
    pub promises_kept: u64,
}

/// Those of one cohort who wait at one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortWaiting {
    pub cohort: Cohort,
    /// Calls that are held until their turn comes.
    pub held: u64,
    /// Those who promised to come back.
    pub promised: u64,
    /// Of them, those who will be there soon.
    pub promised_soon: u64,
}

impl GatewayReport {
    pub fn of(&self, campaign: CampaignNumber) -> Option<&QueueReport> {
        let place = self
            .queues
            .binary_search_by_key(&campaign, |queue| queue.campaign);
        place.ok().map(|place| &self.queues[place])
    }
}

impl QueueReport {
    pub fn has_changes(&self) -> bool {
        self.wants_queue || !self.waiting.is_empty()
    }

    /// Promises that ended since an earlier report of the same gateway.
    pub fn promises_since(&self, before: &Self) -> Promises {
        let since = |now: u64, before: u64| now.saturating_sub(before) as f64;
        Promises {
            ended: since(self.promises_ended, before.promises_ended),
            kept: since(self.promises_kept, before.promises_kept),
        }
    }
}
