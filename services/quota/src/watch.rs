//! Telling watchers how every campaign stands.
//!
//! One poller for the whole process reads the database and feeds every stream, so that any number of quota replicas tell the same whichever of them made a change. A slow stream skips what it
//! missed and goes on with the newest.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_types::{CampaignNumber, Timestamp};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Campaign,
    error::{QuotaError, Result},
    outage::Outage,
    store::Store,
};

/// How often campaigns are read while somebody watches. Watchers are at most this far behind, and get no more than this often of one campaign.
pub const WATCH_INTERVAL: Duration = Duration::from_millis(200);
/// How often campaigns are read for the metrics alone.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// Watchers are told of a campaign for this long after its end, and after the end of its coupons.
const WATCHED_AFTER_END: Duration = Duration::from_secs(24 * 3_600);
/// Campaigns that run, or ended a moment ago, at once; no more are made until one has ended.
pub const MAX_CURRENT_CAMPAIGNS: i64 = 1_000;
/// Ended campaigns whose coupons can still be used that watchers are told of, once for those whose
/// coupons end by themselves and once for those that were extended. Others are looked up.
const MAX_ENDED_CAMPAIGNS: i64 = 500;
const MAX_WATCHERS: usize = 1_000;

/// A campaign is current if it closes after this moment, and watched if its coupons can be used after it.
pub fn current_if_closing_after(now: Timestamp) -> Timestamp {
    now - WATCHED_AFTER_END
}

/// Every watched campaign at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// When the reading began: whatever was committed before is in it.
    pub read_at: Instant,
    /// The campaigns. One that did not change since the last reading is the same allocation.
    pub campaigns: BTreeMap<CampaignNumber, Arc<Campaign>>,
}

#[derive(Debug, Clone)]
pub struct Watch {
    newest: watch::Sender<Arc<Snapshot>>,
    wake: Arc<Notify>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Campaign(Arc<Campaign>),
    /// Everything there is has been told once.
    Synced,
}

pub struct Subscription {
    newest: watch::Receiver<Arc<Snapshot>>,
    /// What was told, or is about to be.
    told: Option<Arc<Snapshot>>,
    subscribed_at: Instant,
    pending: VecDeque<Event>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    /// A watch and its poller, which the caller runs; it ends when `stop` is cancelled, and so do all
    /// streams.
    pub fn new(
        store: Store,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let nothing = Snapshot {
            read_at: Instant::now(),
            campaigns: BTreeMap::new(),
        };
        let watch = Self {
            newest: watch::Sender::new(Arc::new(nothing)),
            wake: Arc::default(),
            places: Arc::new(Semaphore::new(MAX_WATCHERS)),
            stop,
        };
        let poller = watch.clone().poll(store);
        (watch, poller)
    }

    /// A stream of every watched campaign, then [`Event::Synced`], then each campaign again when it changed.
    pub fn subscribe(&self) -> Result<Subscription> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| QuotaError::TooManyWatchers)?;
        let subscription = Subscription {
            newest: self.newest.subscribe(),
            told: None,
            subscribed_at: Instant::now(),
            pending: VecDeque::new(),
            stop: self.stop.clone(),
            _place: place,
        };
        self.wake.notify_one();
        Ok(subscription)
    }

    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.borrow())
    }

    pub fn watchers(&self) -> usize {
        self.newest.receiver_count()
    }

    async fn poll(self, store: Store) {
        let mut outage = Outage::default();
        while !self.stop.is_cancelled() {
            let read = self.read(&store).await;
            // The database is closed under a read when the process stops.
            if self.stop.is_cancelled() {
                break;
            }
            outage.note(
                &read,
                "campaigns cannot be read: watchers keep what they were sent last, and leases are refused as OVERLOADED; look at the database, this mends itself when it is back",
                "campaigns can be read again; watchers are up to date",
            );
            if let Ok(snapshot) = read {
                self.newest.send_replace(Arc::new(snapshot));
            }
            let pause = if self.watchers() > 0 {
                WATCH_INTERVAL
            } else {
                IDLE_INTERVAL
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wake.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn read(&self, store: &Store) -> Result<Snapshot> {
        let read_at = Instant::now();
        let since = current_if_closing_after(Timestamp::now_utc());
        let campaigns = store.read(async |read| {
            read.campaigns_in_use_after(since, MAX_ENDED_CAMPAIGNS)
                .await
        });
        let campaigns = campaigns.await?;
        let before = self.newest();
        let same_or_new = |campaign: Campaign| {
            let known = before.campaigns.get(&campaign.number);
            let known = known.filter(|known| ***known == campaign).cloned();
            (campaign.number, known.unwrap_or_else(|| Arc::new(campaign)))
        };
        Ok(Snapshot {
            read_at,
            campaigns: campaigns.into_iter().map(same_or_new).collect(),
        })
    }
}

impl Subscription {
    /// The next step; waits for it. `None` once the process stops.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            let subscribed_at = self.subscribed_at;
            let told_at = self.told.as_ref().map(|told| told.read_at);
            // What was read before this stream began may lack what its caller already knows of.
            let is_new = |newest: &Arc<Snapshot>| {
                newest.read_at >= subscribed_at && told_at.is_none_or(|told| newest.read_at > told)
            };
            let newest = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                newest = self.newest.wait_for(is_new) => Arc::clone(&*newest.ok()?),
            };
            self.pending = changes(self.told.as_deref(), &newest);
            self.told = Some(newest);
        }
    }
}

/// What a stream that was told one snapshot needs to be told to know another.
fn changes(told: Option<&Snapshot>, newest: &Snapshot) -> VecDeque<Event> {
    let is_new = |number, campaign| {
        let told = told.and_then(|told| told.campaigns.get(number));
        !told.is_some_and(|told| Arc::ptr_eq(told, campaign))
    };
    let campaigns = newest.campaigns.iter();
    let new = campaigns.filter(|(number, campaign)| is_new(*number, *campaign));
    let events = new.map(|(_, campaign)| Event::Campaign(Arc::clone(campaign)));
    events
        .chain(told.is_none().then_some(Event::Synced))
        .collect()
}
