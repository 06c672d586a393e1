//! The waiting room: who comes when not all can be served takes a ticket and comes back with it.
//!
//! Of one who waits next to nothing is kept: the ticket holds the position, quota says whose turn
//! has come, and a promise to come back, four bytes long, says that somebody waits.

mod decode;
mod handed_over;
mod holds;
mod positions;
mod queue;
mod recent_claims;
mod reports;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use tidegate_types::{CampaignNumber, Keyring, Timestamp, Violations};
use tokio::{sync::watch, time::timeout};

pub use holds::HeldStream;
pub use positions::{ClaimAttempt, QueuePosition};
pub use queue::{HeldCall, Queue};
pub use reports::Reporter;

use crate::{
    domain::{
        ticket::{ClaimKey, Ticket, TicketOffice},
        tuning::ASKS_PER_PROCESSOR,
    },
    error::GatewayError,
    metrics::QueueMetrics,
};
use recent_claims::RecentClaims;

/// A claim of a campaign that has just been made waits for so long until quota has told how its
/// queue stands. Reports go out more often.
const SNAPSHOT_WITHIN: Duration = Duration::from_millis(500);

/// One moment, by both of this machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For what has a date.
    pub utc: Timestamp,
    /// For how long something takes.
    pub instant: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            utc: SystemTime::now().into(),
            instant: Instant::now(),
        }
    }
}

/// The queues of all campaigns, as this gateway sees them. Cheap to clone.
#[derive(Clone)]
pub struct WaitingRoom(Arc<Shared>);

struct Shared {
    is_open: bool,
    office: TicketOffice,
    queues: ArcSwap<HashMap<CampaignNumber, Arc<Queue>>>,
    recent: RecentClaims,
    /// What the windows of this gateway would allow each second, as the bits of a float.
    able_per_second: AtomicU64,
    most_asks_per_second: f64,
    /// Wakes those who wait for what quota tells of a queue.
    told: watch::Sender<()>,
    ready: watch::Sender<bool>,
    metrics: QueueMetrics,
}

impl WaitingRoom {
    /// A room in which nobody waits. If it is not open, every claim is served at once or refused.
    pub fn new(is_open: bool, keys: Keyring, metrics: QueueMetrics) -> Self {
        Self(Arc::new(Shared {
            is_open,
            office: TicketOffice::new(keys),
            queues: ArcSwap::default(),
            recent: RecentClaims::new(Instant::now()),
            able_per_second: AtomicU64::default(),
            most_asks_per_second: most_asks_per_second(),
            told: watch::Sender::new(()),
            ready: watch::Sender::new(false),
            metrics,
        }))
    }

    pub fn is_open(&self) -> bool {
        self.0.is_open
    }

    /// The ticket that a claim shows.
    pub fn read(&self, shown: &str, key: ClaimKey<'_>) -> Result<Ticket, GatewayError> {
        self.0.office.read(shown, key).ok_or_else(|| {
            let mut bad = Violations::default();
            bad.add(
                "ticket",
                "must be empty or the newest ticket that an answer to this claim held",
            );
            GatewayError::InvalidFields(bad)
        })
    }

    pub fn queue(&self, campaign: CampaignNumber) -> Arc<Queue> {
        if let Some(queue) = self.0.queues.load().get(&campaign) {
            return Arc::clone(queue);
        }
        let new = Arc::new(Queue::new(Instant::now()));
        self.0.queues.rcu(|queues| {
            let mut queues = HashMap::clone(queues);
            queues.entry(campaign).or_insert_with(|| Arc::clone(&new));
            queues
        });
        let queues = self.0.queues.load();
        queues.get(&campaign).map_or(new, Arc::clone)
    }

    /// True once it is known how the queue of every campaign stands.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    /// Takes in that a report was answered, and lets claims go on that waited for that. `is_of_all`
    /// says whether every campaign was known when the report was made.
    fn note(&self, is_of_all: bool) {
        self.0.told.send_replace(());
        if is_of_all && !*self.0.ready.borrow() {
            self.0.ready.send_replace(true);
        }
    }

    /// Waits until quota has told how a campaign's queue stands: until then nobody knows who is
    /// before whom.
    pub async fn knows_queue(&self, campaign: CampaignNumber) -> Result<(), GatewayError> {
        if self.queue(campaign).is_known() {
            return Ok(());
        }
        let mut told = self.0.told.subscribe();
        let known = told.wait_for(|()| self.queue(campaign).is_known());
        match timeout(SNAPSHOT_WITHIN, known).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(GatewayError::NotReady),
        }
    }

    /// Forgets the queues of all other campaigns.
    fn keep_only(&self, campaigns: &[CampaignNumber]) {
        let is_kept = |campaign: &CampaignNumber| campaigns.binary_search(campaign).is_ok();
        if self.0.queues.load().keys().all(is_kept) {
            return;
        }
        self.0.queues.rcu(|queues| {
            let mut queues = HashMap::clone(queues);
            queues.retain(|campaign, _| is_kept(campaign));
            queues
        });
    }
}

/// What a twentieth of this process's processors can answer: two gateways may share a machine.
fn most_asks_per_second() -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    ASKS_PER_PROCESSOR * processors as f64
}
