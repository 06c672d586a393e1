//! One commit for many callers.
//!
//! A queue has one writer with one connection of its own. While one batch commits, the next one gathers, and what other tasks are ready to hand in comes along: no timer delays anybody, and batches grow with the load. A batch whose connection broke is
//! committed again over a new one, because the statement finds by its keys what the first attempt did; nobody is told "failed" for something that may have been committed.

mod commit_time;
mod metrics;
mod reply;
mod state;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tidegate_telemetry::TraceContext;
use tokio_util::sync::CancellationToken;
use tracing::{Span, field::Empty, info_span};

pub use metrics::QueueMetrics;
use reply::Answer;
pub use reply::Reply;
use state::State;
use writer::Writer;

use crate::Database;

/// How a batch of one kind is committed.
pub trait Commit: Send + 'static {
    /// What callers hand in: a kind of work each, with the [`Reply`] of that kind.
    type Item: Send + Sync + 'static;
    /// What two items of one batch may not share; those that do go into batches one after the other, in the order they came.
    type Key: Ord + Send + Clone;

    /// The key of an item. Batches are sorted by it, so that two writers lock rows in the same order.
    fn key(item: &Self::Item) -> Self::Key;

    /// Whether this item goes before those that are not urgent.
    fn urgent(item: &Self::Item) -> bool;

    /// Ends the reply of an item, with how long it waited or why it was not committed.
    fn answer(item: Self::Item, ended: Result<Duration, NotCommitted>);

    /// Makes a new connection fit for its first commit.
    fn connected(
        &mut self,
        _connection: &mut PgConnection,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        async { Ok(()) }
    }

    /// Commits all items or none, and puts what became of each into its reply. Called again with the
    /// same items if the outcome of an attempt is unknown, so it must find what an earlier attempt did.
    /// The current span is the batch's.
    fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &mut [Queued<Self::Item>],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// An item in the queue.
pub struct Queued<T> {
    /// What was handed in.
    pub item: T,
    /// The step that it was handed in by.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
    /// Its wait and its commit.
    span: Span,
    queued: Instant,
}

impl<T> Queued<T> {
    /// An item of the story that is current.
    fn new(item: T, queue: &'static str, deadline: Instant) -> Self {
        Self {
            item,
            trace: TraceContext::current(),
            deadline,
            span: info_span!(
                "queue and commit",
                otel.name = format!("queue and commit {queue}"),
                tidegate.queue_delay_ms = Empty,
            ),
            queued: Instant::now(),
        }
    }
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub struct CommitQueueSettings {
    /// Names the queue in metrics and spans.
    pub name: &'static str,
    /// Items that wait at most; a quarter of them are places for urgent items alone.
    pub capacity: usize,
    /// Items of one commit at most.
    pub max_batch: usize,
}

impl CommitQueueSettings {
    /// A queue of this name and these bounds.
    pub fn new(name: &'static str, capacity: usize, max_batch: usize) -> Self {
        Self {
            name,
            capacity,
            max_batch,
        }
    }
}

/// Why an item was not committed, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// The queue is full. The item was not taken.
    #[error("the commit queue is full")]
    Full {
        /// When there should be room.
        retry_after: Duration,
    },
    /// The wait would outlast the deadline, or did. The item was not committed.
    #[error("the wait in the commit queue would outlast the deadline")]
    TooLate {
        /// When the queue should be short enough.
        retry_after: Duration,
    },
    /// The deadline passed while the connection was being mended. It may have been committed; asking again with the same keys tells.
    #[error("the outcome of the commit is not known yet")]
    Unknown,
    /// The statement failed for a reason that doing it again will not mend; the log says which. The item was not committed.
    #[error("the commit failed")]
    Failed,
    /// The process is shutting down. The item was not taken.
    #[error("the commit queue is closed")]
    Closed,
}

/// See the module's documentation. Cheap to clone.
pub struct CommitQueue<C: Commit> {
    state: Arc<State<C>>,
}

impl<C: Commit> Clone for CommitQueue<C> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<C: Commit> CommitQueue<C> {
    /// A queue and its writer, which the caller runs. Once `stop` is cancelled the writer takes no
    /// more items, commits those it has, and ends.
    pub fn new(
        settings: CommitQueueSettings,
        commit: C,
        database: Database,
        metrics: &QueueMetrics,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<C>) {
        let state = Arc::new(State::new(settings, metrics.of(settings.name)));
        let writer = Writer::new(Arc::clone(&state), commit, database, stop);
        (Self { state }, writer.run())
    }

    /// Hands an item in and waits for what became of it, and for how long it waited before its
    /// commit began. Dropping the returned future does not undo the item.
    ///
    /// An item that cannot make its deadline is refused at once: waiting would only make others late as well.
    pub async fn submit<T>(
        &self,
        item: impl FnOnce(Reply<T>) -> C::Item,
        deadline: Instant,
    ) -> Answer<T> {
        let (reply, answer) = reply::channel();
        let queued = Queued::new(item(reply), self.state.settings.name, deadline);
        self.state.push(queued, Instant::now())?;
        reply::wait(answer).await
    }

    /// How long items wait here, as commits that ended of late tell.
    pub fn queue_delay(&self) -> Duration {
        self.state.queue_delay(Instant::now())
    }
}
