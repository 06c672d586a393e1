//! The feed of everything that happens to orders.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tidegate_types::{ConsumerId, Lane};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{FeedCursor, FeedFilter, InvalidCursor, OrderEvent},
    error::{OrderIntakeError, Result},
    metrics::Metrics,
    store::Store,
    sweeps::Sweeps,
};

/// Streams at once.
const MAX_READERS: usize = 64;
/// Consumers that are remembered. A new one beyond that is refused until an operator removes one
/// that is not used any more.
const MAX_CONSUMERS: i64 = 100;
/// Events of one page, before the filter. So many of the largest baskets fit a message that every
/// client takes.
const PAGE_EVENTS: u16 = 200;
/// How often a reader that has come to the end looks for more.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// A stream ends after this long, so that readers spread over the replicas again.
const STREAM_LIMIT: Duration = Duration::from_secs(3_600);
const LAG_INTERVAL: Duration = Duration::from_secs(5);

/// Some events, and the place after them.
pub struct FeedPage {
    pub events: Vec<OrderEvent>,
    /// The place after all that was read.
    pub cursor: FeedCursor,
    /// Events between the page before and this one that are no longer kept, whether or not they
    /// would have passed the filter.
    pub missed: u64,
}

#[derive(Clone)]
pub struct Feed {
    store: Store,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

struct Reader {
    cursor: FeedCursor,
    filter: FeedFilter,
    /// Whether it began at the oldest event there is: then what was dropped before that was not
    /// missed.
    is_new: bool,
    /// The lane to begin the next page with, so that a busy one does not hold up the others.
    next_lane: u16,
    ends_at: Instant,
    /// Held for as long as the stream is.
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        Self {
            store,
            streams: Arc::new(Semaphore::new(MAX_READERS)),
            stop,
        }
    }

    /// Pages from the cursor on, or from what the consumer acknowledged last. A page is read when
    /// the one before it was taken: the stream is as fast as its reader.
    pub async fn stream(
        &self,
        consumer: &ConsumerId,
        cursor: Option<FeedCursor>,
        filter: FeedFilter,
    ) -> Result<impl Stream<Item = Result<FeedPage>> + use<>> {
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| OrderIntakeError::TooManyWatchers)?;
        let known = match cursor {
            Some(cursor) => Some(self.checked(cursor).await?),
            None => self.store.feed_cursor(consumer).await?,
        };
        let reader = Reader {
            is_new: known.is_none(),
            cursor: known.unwrap_or_else(|| FeedCursor::start(self.store.lanes())),
            filter,
            next_lane: 0,
            ends_at: Instant::now() + STREAM_LIMIT,
            _permit: permit,
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

    /// The next page that was read, which may hold nothing that passes the filter; `None` at the
    /// end of the stream.
    async fn next_page(&self, reader: &mut Reader) -> Result<Option<FeedPage>> {
        let lanes = self.store.lanes();
        while Instant::now() < reader.ends_at {
            let end = self.store.feed_end().await?;
            let behind = reader.cursor.lanes_before(&end, lanes, reader.next_lane);
            if let Some(first) = behind.first() {
                reader.next_lane = first.get() + 1;
                return self.page(reader, &behind, &end).await.map(Some);
            }
            let slept = self.stop.run_until_cancelled(sleep(POLL_INTERVAL)).await;
            slept.ok_or(OrderIntakeError::Closing)?;
        }
        Ok(None)
    }

    async fn page(
        &self,
        reader: &mut Reader,
        behind: &[Lane],
        end: &FeedCursor,
    ) -> Result<FeedPage> {
        let before = reader.cursor.clone();
        let (cursor, filter) = (&mut reader.cursor, &reader.filter);
        let read = self.store.read_feed(cursor, behind, filter, PAGE_EVENTS);
        let (events, mut missed) = read.await?;
        if reader.cursor == before {
            // Everything up to the end was dropped as too old, the last event of each lane
            // included.
            for lane in behind {
                missed += 1 + reader.cursor.advance(*lane, end.position(*lane));
            }
        }
        if reader.is_new {
            missed = 0;
        }
        Ok(FeedPage {
            events,
            cursor: reader.cursor.clone(),
            missed,
        })
    }

    pub async fn acknowledge(&self, consumer: &ConsumerId, cursor: FeedCursor) -> Result<()> {
        let cursor = self.checked(cursor).await?;
        let is_new = self.store.feed_cursor(consumer).await?.is_none();
        if is_new && self.store.count_consumers().await? >= MAX_CONSUMERS {
            return Err(OrderIntakeError::TooManyConsumers);
        }
        self.store.acknowledge_feed(consumer, &cursor).await
    }

    /// A cursor from beyond the end is one of another database.
    async fn checked(&self, cursor: FeedCursor) -> Result<FeedCursor> {
        if cursor.is_beyond(&self.store.feed_end().await?) {
            return Err(OrderIntakeError::InvalidCursor(InvalidCursor));
        }
        Ok(cursor)
    }

    /// Measures how far each consumer is behind, until the process ends.
    pub async fn measure(self, metrics: Metrics) {
        let measure = || async {
            for (consumer, events) in self.store.feed_lags().await? {
                metrics.feed_lag(consumer, events);
            }
            Ok(())
        };
        let sweeps = Sweeps::default();
        sweeps.run(LAG_INTERVAL, &self.stop, measure).await;
    }
}
