use std::time::Duration;

use tidegate_types::{CampaignNumber, ReplicaId};

use super::CohortNews;

/// What happened at one gateway since it reported last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayReport {
    /// One life of a gateway process.
    pub gateway: ReplicaId,
    /// Counts its reports.
    pub number: u64,
    /// Campaign by campaign, in the order of their numbers.
    pub queues: Vec<QueueReport>,
}

/// What happened to one campaign's queue at one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReport {
    /// Of which campaign.
    pub campaign: CampaignNumber,
    /// In which cohorts, in their order.
    pub cohorts: Vec<CohortNews>,
    /// Whether the gateway could not serve at once all that came.
    pub wants_queue: bool,
    /// How long claims waited on average, at the gateway for room and at issuance for their commit.
    pub queue_delay: Option<Duration>,
    /// Coupons that issuance answered with.
    pub issued: u64,
    /// How often a due ticket was shown and there was no room for its claim.
    pub kept: u64,
    /// The version of the standing that the gateway knows.
    pub known_version: u64,
}

impl QueueReport {
    /// Whether it has to be counted. What else it says matters only while there is a queue.
    pub fn has_news(&self) -> bool {
        self.wants_queue || !self.cohorts.is_empty()
    }

    /// Whether it counts anything. Some of it matters only while there is a queue.
    pub fn has_counts(&self) -> bool {
        self.has_news() || self.issued > 0 || self.kept > 0
    }

    /// The same report once its counts have been taken in.
    pub fn without_counts(&self) -> Self {
        Self {
            cohorts: Vec::new(),
            issued: 0,
            kept: 0,
            ..self.clone()
        }
    }

    /// Tickets that were handed out, used, and given back.
    pub fn totals(&self) -> (u64, u64, u64) {
        let sum = |count: fn(&CohortNews) -> u64| self.cohorts.iter().map(count).sum();
        (
            sum(|news| news.joined),
            sum(|news| news.served),
            sum(|news| news.left),
        )
    }
}
