//! Separate limits for each kind of work, so that one kind cannot take the places of another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::GatewayError;

/// How many calls of one kind are in flight.
#[derive(Clone)]
pub struct Bulkhead(Arc<Semaphore>);

impl Bulkhead {
    /// At most this many at once.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit)))
    }

    /// Takes a place until the permit is dropped, or refuses at once: who waits for a place only makes others late.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, GatewayError> {
        Arc::clone(&self.0)
            .try_acquire_owned()
            .map_err(|_| GatewayError::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bulkhead_refuses_until_a_place_is_free() {
        let bulkhead = Bulkhead::new(1);
        let place = bulkhead.enter().unwrap();
        assert!(bulkhead.enter().is_err());
        drop(place);
        assert!(bulkhead.enter().is_ok());
    }
}
