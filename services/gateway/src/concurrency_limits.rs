//! Separate limits for each kind of work, so that one kind cannot keep out another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_rpc::server::{CallContext, FairPlace, FairPlaces};
use tidegate_types::ShopperId;

use crate::error::GatewayError;

/// How many calls of one kind are in flight, with fair shares for callers.
#[derive(Clone)]
pub struct ConcurrencyLimit(FairPlaces);

impl ConcurrencyLimit {
    pub fn new(limit: usize) -> Self {
        Self(FairPlaces::new(limit))
    }

    /// A permit for a call until it is dropped, or a refusal at once.
    pub fn acquire(&self, call: &CallContext) -> Result<FairPlace, GatewayError> {
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
pub struct ShopperStreamPermit {
    streams: ShopperStreams,
    shopper: ShopperId,
}

impl ShopperStreams {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Arc::default(),
        }
    }

    /// One more stream of the shopper's, or a refusal.
    pub fn acquire(&self, shopper: &ShopperId) -> Result<ShopperStreamPermit, GatewayError> {
        let mut open = self.open();
        let count = open.get(shopper).copied().unwrap_or_default();
        if count >= self.limit {
            return Err(GatewayError::TooManyStreams);
        }
        open.insert(shopper.clone(), count + 1);
        Ok(ShopperStreamPermit {
            streams: self.clone(),
            shopper: shopper.clone(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ShopperId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShopperStreamPermit {
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
        let first = streams.acquire(&ann).unwrap();
        let _second = streams.acquire(&ann).unwrap();
        assert!(matches!(
            streams.acquire(&ann),
            Err(GatewayError::TooManyStreams)
        ));
        drop(streams.acquire(&bob).unwrap());
        drop(first);
        let _again = streams.acquire(&ann).unwrap();
        assert_eq!(
            streams.open().len(),
            1,
            "of those who have none nothing is kept"
        );
    }
}
