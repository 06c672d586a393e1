//! Follows one order until its state is final.

use std::{sync::Arc, time::Duration};

use futures_util::{
    Stream,
    future::OptionFuture,
    stream::{self, StreamExt as _},
};
use tidegate_types::ShopperId;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Order, OrderId, OrderState},
    error::{OrderIntakeError, Result},
    finish::Finisher,
    store::Store,
};

/// Streams at once.
const MAX_WATCHERS: usize = 2_000;
/// How often an order is read again, since another replica may settle it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Once an order is accepted, people move it on, and minutes lie between.
const SLOW_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A stream that saw no change for this long ends, and its caller asks again if it still cares.
const WATCH_LIMIT: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub struct Watcher {
    store: Store,
    finisher: Finisher,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Watcher {
    pub fn new(store: Store, finisher: Finisher, stop: CancellationToken) -> Self {
        Self {
            store,
            finisher,
            streams: Arc::new(Semaphore::new(MAX_WATCHERS)),
            stop,
        }
    }

    /// The order as it stands, and then as it stands after each change of its state.
    pub async fn watch(
        &self,
        shopper: ShopperId,
        order_id: OrderId,
    ) -> Result<impl Stream<Item = Result<Order>> + use<>> {
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| OrderIntakeError::TooManyWatchers)?;
        let first = self.store.get_order(&shopper, order_id).await?;
        let watcher = self.clone();
        // The permit is part of the state, so it is held for as long as the stream is.
        let changes = stream::try_unfold((first.clone(), permit), move |(last, permit)| {
            let watcher = watcher.clone();
            async move {
                if last.standing.state.is_final() {
                    return Ok(None);
                }
                let order = watcher.change_of(&last).await?;
                Ok(Some((order.clone(), (order, permit))))
            }
        });
        Ok(stream::iter([Ok(first)]).chain(changes))
    }

    async fn change_of(&self, last: &Order) -> Result<Order> {
        let ends_at = Instant::now() + WATCH_LIMIT;
        let pause = match last.standing.state {
            OrderState::Pending => POLL_INTERVAL,
            _ => SLOW_POLL_INTERVAL,
        };
        while Instant::now() < ends_at {
            let settled_here: OptionFuture<_> = self
                .finisher
                .join(last.standing.order_id)
                .map(|waiter| waiter.outcome())
                .into();
            tokio::select! {
                () = self.stop.cancelled() => return Err(OrderIntakeError::Closing),
                Some(Some(_)) = settled_here => {}
                () = sleep(pause) => {}
            }
            let order = self
                .store
                .get_order(&last.draft.shopper, last.standing.order_id)
                .await?;
            if order.standing.state != last.standing.state {
                return Ok(order);
            }
        }
        Err(OrderIntakeError::OutcomeUnknown)
    }
}
