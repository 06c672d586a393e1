//! Separate limits for each kind of work, so that one kind cannot take the places of another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_rpc::server::{CallContext, FairPlace, FairPlaces};
use tidegate_types::ShopperId;

use crate::error::GatewayError;

/// How many calls of one kind are in flight, with fair shares for callers.
#[derive(Clone)]
pub struct Bulkhead(FairPlaces);

impl Bulkhead {
    /// At most this many at once.
    pub fn new(limit: usize) -> Self {
        Self(FairPlaces::new(limit))
    }

    /// Takes a place for a call until what is returned is dropped, or refuses at once.
    pub fn enter(&self, call: &CallContext) -> Result<FairPlace, GatewayError> {
        let subject = call.caller.as_ref().map(|caller| &caller.subject);
        self.0.take(subject).ok_or(GatewayError::Full)
    }
}

/// How many streams of each shopper are open, in memory for those that are. Cheap to clone.
#[derive(Clone)]
pub struct ShopperStreams {
    limit: usize,
    open: Arc<Mutex<HashMap<ShopperId, usize>>>,
}

/// One stream of a shopper's, as long as this is kept.
pub struct ShopperPlace {
    streams: ShopperStreams,
    shopper: ShopperId,
}

impl ShopperStreams {
    /// At most this many of one shopper at once.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Arc::default(),
        }
    }

    /// One more stream of the shopper's, or a refusal.
    pub fn enter(&self, shopper: &ShopperId) -> Result<ShopperPlace, GatewayError> {
        let mut open = self.open();
        let count = open.get(shopper).copied().unwrap_or_default();
        if count >= self.limit {
            return Err(GatewayError::TooManyStreams);
        }
        open.insert(shopper.clone(), count + 1);
        Ok(ShopperPlace {
            streams: self.clone(),
            shopper: shopper.clone(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ShopperId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShopperPlace {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        match open.get_mut(&self.shopper) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.shopper);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shopper_opens_a_few_streams_and_takes_no_others_places() {
        let streams = ShopperStreams::new(2);
        let [ann, bob] = ["ann", "bob"].map(|id| ShopperId::parse(id).unwrap());
        let first = streams.enter(&ann).unwrap();
        let _second = streams.enter(&ann).unwrap();
        assert!(matches!(
            streams.enter(&ann),
            Err(GatewayError::TooManyStreams)
        ));
        drop(streams.enter(&bob).unwrap());
        drop(first);
        let _again = streams.enter(&ann).unwrap();
        assert_eq!(
            streams.open().len(),
            1,
            "of those who have none nothing is kept"
        );
    }
}
