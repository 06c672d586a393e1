use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tidegate_types::StoreId;

use crate::domain::Timetable;

/// Stores that a lane remembers at most. Others are read anew when somebody orders there.
const STORES_REMEMBERED: usize = 4_000;

/// Stores as a lane of this process last saw them.
///
/// What is remembered to be full is full: places are only taken while a store has the same version.
/// So nothing is remembered that may not have been written.
#[derive(Default)]
pub(in crate::store) struct RememberedStores(Mutex<HashMap<StoreId, Remembered>>);

pub(super) struct Remembered {
    pub(super) version: i64,
    pub(super) timetable: Timetable,
}

impl RememberedStores {
    /// Takes a store out: until it is put back, what a batch books there may be written or not.
    pub(super) fn take(&self, store: &StoreId) -> Option<Remembered> {
        self.stores().remove(store)
    }

    /// Puts a store back as a batch has left it, unless it was read anew meanwhile.
    pub(super) fn put_back(&self, mut store: Remembered) {
        store.timetable.clear_changes();
        let id = store.timetable.store().id.clone();
        self.stores().entry(id).or_insert(store);
    }

    /// Learns a store that was read under its lock. One whose slots have changed their length is
    /// left to those who read: a slot is then not full by its own row alone.
    pub(super) fn learn(&self, mut store: Remembered) {
        store.timetable.clear_changes();
        let id = store.timetable.store().id.clone();
        let mut stores = self.stores();
        if !store.timetable.has_slots_of_one_length() {
            stores.remove(&id);
            return;
        }
        if stores.len() >= STORES_REMEMBERED
            && let Some(any) = stores.keys().next().cloned()
        {
            stores.remove(&any);
        }
        stores.insert(id, store);
    }

    fn stores(&self) -> MutexGuard<'_, HashMap<StoreId, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
