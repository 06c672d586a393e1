//! Finds other stores for orders that a full one cannot make.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::future::Cache;
use rand::seq::SliceRandom as _;
use tidegate_types::{StoreId, Timestamp};
use tokio::{sync::Semaphore, time::timeout_at};

use crate::{
    domain::{BusyStore, Suggestion},
    error::Result,
    store::Store,
};

/// Stores of an area that are looked at for one that is less busy.
const STORES_LOOKED_AT: u8 = 50;
const MAX_SUGGESTIONS: usize = 5;
/// Looks at once: they must not take the connections from those who read orders.
const LOOKS_AT_ONCE: usize = 2;
/// An order that is refused waits no longer than this for the names of other stores, and never so
/// long that its own answer would be late.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
/// A crowd at a favourite store is shown the same look; by the time somebody orders, any may be out
/// of date.
const SHOWN_FOR: Duration = Duration::from_secs(1);
const STORES_REMEMBERED: u64 = 10_000;

/// Finds other stores. They are a hint, and cost an order neither its answer nor much time. Cheap
/// to clone.
#[derive(Clone)]
pub struct Nearby {
    store: Store,
    looks: Arc<Semaphore>,
    /// What was free around a store a moment ago. Of several who want the same look, one takes it.
    seen: Cache<StoreId, Arc<[Suggestion]>>,
}

impl Nearby {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            seen: Cache::builder()
                .max_capacity(STORES_REMEMBERED)
                .time_to_live(SHOWN_FOR)
                .build(),
        }
    }

    /// Adds stores of the same area that can make the order sooner than the full one, the soonest
    /// first.
    pub async fn suggest(&self, full: &StoreId, busy: BusyStore, deadline: Instant) -> BusyStore {
        let look = async {
            // A look that failed is not taken again at once, either.
            self.look(full, &busy).await.unwrap_or_default().into()
        };
        let seen = self.seen.get_with_by_ref(full, look);
        let latest = Instant::now() + LOOK_TIMEOUT;
        let latest = deadline
            .checked_sub(ANSWER_MARGIN)
            .map_or(latest, |deadline| deadline.min(latest));
        let seen = timeout_at(latest.into(), seen).await.unwrap_or_default();
        let is_sooner =
            |found: &&Suggestion| busy.next_slot_at.is_none_or(|next| found.slot_at < next);
        let mut free: Vec<_> = seen.iter().filter(is_sooner).cloned().collect();
        // Stores with the same slot come in any order, so that not everybody is sent to the same
        // few.
        free.shuffle(&mut rand::rng());
        free.sort_by_key(|found| found.slot_at);
        free.truncate(MAX_SUGGESTIONS);
        BusyStore {
            suggestions: free,
            ..busy
        }
    }

    async fn look(&self, full: &StoreId, busy: &BusyStore) -> Result<Vec<Suggestion>> {
        // The semaphore is never closed.
        let _permit = self.looks.acquire().await;
        let (store, now) = (&self.store, Timestamp::now_utc());
        let around = store.look_around(&busy.area, full, STORES_LOOKED_AT, now);
        let timetables = around.await?;
        let free = timetables.into_iter().filter_map(|mut timetable| {
            let slot_at = timetable.first_free()?.starts_at();
            let slot_at = timetable.store().zone.shown(slot_at);
            let store = timetable.store().id.clone();
            Some(Suggestion { store, slot_at })
        });
        Ok(free.collect())
    }
}
