//! The feed of everything that happens to orders.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tidegate_types::ConsumerId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{FeedCursor, FeedFilter, InvalidCursor, OrderEvent},
    error::OrderIntakeError,
    metrics::Metrics,
    store::Store,
};

/// Streams at once.
const MAX_READERS: usize = 64;
/// Consumers that are remembered. A new one beyond that is refused until an operator removes one that is not used any more.
const MAX_CONSUMERS: i64 = 100;
/// Events of one page, before the filter.
const PAGE_EVENTS: u16 = 500;
/// How often a reader that has come to the end looks for more.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// A stream ends after this long, so that readers spread over the replicas again.
const STREAM_LIMIT: Duration = Duration::from_secs(3_600);
const LAG_INTERVAL: Duration = Duration::from_secs(5);

/// Some events, and the place after them.
pub struct FeedPage {
    /// What passed the filter.
    pub events: Vec<OrderEvent>,
    /// The place after all that was read.
    pub cursor: FeedCursor,
}

/// Reads the feed for consumers. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    store: Store,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

struct Reader {
    cursor: FeedCursor,
    filter: FeedFilter,
    /// The lane to begin the next page with, so that a busy one does not hold up the others.
    next_lane: u16,
    ends_at: Instant,
    /// Held for as long as the stream is.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// A feed whose streams end at `stop`.
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        Self {
            store,
            places: Arc::new(Semaphore::new(MAX_READERS)),
            stop,
        }
    }

    /// Pages from the cursor on, or from what the consumer acknowledged last. A page is read when the one before it was taken: the stream is as fast as its reader.
    pub async fn stream(
        &self,
        consumer: &ConsumerId,
        cursor: Option<FeedCursor>,
        filter: FeedFilter,
    ) -> Result<impl Stream<Item = Result<FeedPage, OrderIntakeError>> + use<>, OrderIntakeError>
    {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| OrderIntakeError::TooManyWatchers)?;
        let cursor = match cursor {
            Some(cursor) => self.checked(cursor).await?,
            None => self
                .store
                .feed_cursor(consumer)
                .await?
                .unwrap_or_else(|| FeedCursor::start(self.store.lanes())),
        };
        let reader = Reader {
            cursor,
            filter,
            next_lane: 0,
            ends_at: Instant::now() + STREAM_LIMIT,
            _place: place,
        };
        let feed = self.clone();
        Ok(stream::try_unfold(reader, move |mut reader| {
            let feed = feed.clone();
            async move {
                let page = feed.next_page(&mut reader).await?;
                Ok(page.map(|page| (page, reader)))
            }
        }))
    }

    /// The next page that was read, which may hold nothing that passes the filter; `None` at the end of the stream.
    async fn next_page(&self, reader: &mut Reader) -> Result<Option<FeedPage>, OrderIntakeError> {
        let lanes = self.store.lanes();
        while Instant::now() < reader.ends_at {
            let end = self.store.feed_end().await?;
            let behind = reader.cursor.lanes_before(&end, lanes, reader.next_lane);
            if let Some(first) = behind.first() {
                reader.next_lane = first.get() + 1;
                let before = reader.cursor.clone();
                let events = self
                    .store
                    .read_feed(&mut reader.cursor, &behind, &reader.filter, PAGE_EVENTS)
                    .await?;
                if reader.cursor != before {
                    let cursor = reader.cursor.clone();
                    return Ok(Some(FeedPage { events, cursor }));
                }
                // What lies between was dropped as too old, and there is nothing after it: the reader is at the end.
                behind
                    .iter()
                    .for_each(|lane| reader.cursor.advance(*lane, end.position(*lane)));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(OrderIntakeError::Closing),
                () = sleep(POLL_INTERVAL) => {}
            }
        }
        Ok(None)
    }

    /// Remembers how far a consumer has come.
    pub async fn acknowledge(
        &self,
        consumer: &ConsumerId,
        cursor: FeedCursor,
    ) -> Result<(), OrderIntakeError> {
        let cursor = self.checked(cursor).await?;
        let is_new = self.store.feed_cursor(consumer).await?.is_none();
        if is_new && self.store.count_consumers().await? >= MAX_CONSUMERS {
            return Err(OrderIntakeError::TooManyConsumers);
        }
        self.store.acknowledge_feed(consumer, &cursor).await
    }

    /// A cursor from beyond the end is one of another database.
    async fn checked(&self, cursor: FeedCursor) -> Result<FeedCursor, OrderIntakeError> {
        if cursor.is_beyond(&self.store.feed_end().await?) {
            return Err(OrderIntakeError::InvalidCursor(InvalidCursor));
        }
        Ok(cursor)
    }

    /// Measures how far each consumer is behind, until `stop`.
    pub async fn measure(self, metrics: Metrics) {
        let mut ticks = interval(LAG_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // A failed read is logged where it failed, and the next one comes soon.
            for (consumer, events) in self.store.feed_lags().await.unwrap_or_default() {
                metrics.feed_lag(consumer, events);
            }
        }
    }
}
