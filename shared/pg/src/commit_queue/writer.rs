use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use sqlx::PgConnection;
use tidegate_telemetry::{Batch, fail, link_to_current, note};
use tokio::{task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use super::{Commit, NotCommitted, Queued, state::State};
use crate::{Database, Fault, database::within, fault};

/// A commit that takes longer counts as a lost connection.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// Attempts at a batch that others keep getting in the way of.
const MAX_CONFLICTS: u32 = 10;
/// A stopping writer that cannot reach its database gives up after this long.
const MAX_MENDING_WHILE_STOPPING: Duration = Duration::from_secs(5);

type Items<C> = Vec<Queued<<C as Commit>::Item>>;

/// The one task that commits.
pub(super) struct Writer<C: Commit> {
    state: Arc<State<C>>,
    commit: C,
    database: Database,
    stop: CancellationToken,
    connection: Option<PgConnection>,
}

impl<C: Commit> Writer<C> {
    pub(super) fn new(
        state: Arc<State<C>>,
        commit: C,
        database: Database,
        stop: CancellationToken,
    ) -> Self {
        Self {
            state,
            commit,
            database,
            stop,
            connection: None,
        }
    }

    pub(super) async fn run(mut self) {
        // The first caller should not wait for the connection.
        self.connection = self.connect().await.ok();
        loop {
            // A task that was just woken runs before the others. What those are ready to hand in
            // comes along; where there are none, no time is lost.
            yield_now().await;
            let items = self.state.take_batch(Instant::now());
            if !items.is_empty() {
                let batch = Batch::of(items.iter().map(|queued| queued.trace));
                let name = self.state.settings.name;
                let span = || {
                    info_span!(
                        "commit",
                        otel.name = format!("commit {name}"),
                        otel.kind = "client",
                        db.system.name = "postgresql",
                    )
                };
                batch.run(span, self.commit_batch(items)).await;
                self.state.batch_ended();
                continue;
            }
            if self.stop.is_cancelled() && self.state.is_empty() {
                return;
            }
            tokio::select! {
                () = self.state.arrived.notified() => {}
                () = self.stop.cancelled(), if !self.stop.is_cancelled() => self.state.close(),
            }
        }
    }

    async fn commit_batch(&mut self, mut items: Items<C>) {
        let began = Instant::now();
        let (mut attempts, mut conflicts) = (0_i64, 0);
        let mut outage = Outage::default();
        loop {
            let commit_began = Instant::now();
            attempts += 1;
            let error = match self.attempt(&mut items).await {
                Ok(()) => {
                    note("tidegate.attempts", attempts);
                    let took = commit_began.elapsed();
                    self.state.committed_in(took, Instant::now());
                    self.state.metrics.committed(items.len(), took);
                    describe(&items, began);
                    return answer(&self.state, items, began);
                }
                Err(error) => error,
            };
            match fault(&error) {
                Fault::Conflict if conflicts < MAX_CONFLICTS => {
                    conflicts += 1;
                    self.state.metrics.conflicts.inc();
                }
                Fault::ConnectionLost => {
                    outage.note(self.state.settings.name, &error);
                    self.connection = None;
                    self.state.metrics.connection_losses.inc();
                    drop_expired::<C>(&mut items);
                    if items.is_empty() || self.stop.is_cancelled() && outage.lasted_too_long() {
                        fail(&error);
                        return refuse::<C>(items, NotCommitted::Unknown);
                    }
                    sleep(outage.next_pause()).await;
                }
                Fault::Conflict | Fault::Statement => {
                    tracing::error!(queue = self.state.settings.name, items = items.len(), %error, "a batch could not be committed and was refused; its callers were told to retry");
                    fail(&error);
                    // If an earlier attempt broke off, it may have committed.
                    let why = if outage.since.is_some() {
                        NotCommitted::Unknown
                    } else {
                        NotCommitted::Failed
                    };
                    return refuse::<C>(items, why);
                }
            }
        }
    }

    async fn attempt(&mut self, items: &mut Items<C>) -> Result<(), sqlx::Error> {
        // A connection whose attempt failed or was cut off is in an unknown state: it is kept only after a success.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let committed = within(COMMIT_TIMEOUT, self.commit.commit(&mut connection, items)).await;
        if committed.is_ok() || matches!(&committed, Err(error) if fault(error) == Fault::Conflict)
        {
            self.connection = Some(connection);
        }
        committed
    }

    async fn connect(&mut self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.database.connect_writer().await?;
        within(COMMIT_TIMEOUT, self.commit.connected(&mut connection)).await?;
        Ok(connection)
    }
}

/// What became of the recorded items' waits: each has its wait and its commit as a span of its own story, linked to the commit that carried it.
fn describe<T>(items: &[Queued<T>], began: Instant) {
    for queued in items.iter().filter(|queued| !queued.span.is_disabled()) {
        let waited = began.saturating_duration_since(queued.queued);
        let waited_ms = waited.as_secs_f64() * 1e3;
        queued.span.record("tidegate.queue_delay_ms", waited_ms);
        link_to_current(&queued.span);
    }
}

fn answer<C: Commit>(state: &State<C>, items: Items<C>, began: Instant) {
    for queued in items {
        let waited = began.saturating_duration_since(queued.queued);
        state.metrics.delay.observe(waited.as_secs_f64());
        C::answer(queued.item, Ok(waited));
    }
}

fn refuse<C: Commit>(items: Items<C>, why: NotCommitted) {
    for queued in items {
        C::answer(queued.item, Err(why));
    }
}

fn drop_expired<C: Commit>(items: &mut Items<C>) {
    let now = Instant::now();
    let (kept, expired) = items.drain(..).partition(|queued| queued.deadline > now);
    *items = kept;
    refuse::<C>(expired, NotCommitted::Unknown);
}

/// One stretch of time in which the database could not be reached.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    pause: Duration,
}

impl Outage {
    fn note(&mut self, queue: &'static str, error: &sqlx::Error) {
        if self.since.is_none() {
            tracing::warn!(queue, %error, at = ?SystemTime::now(), "the database connection was lost during a commit; the batch is committed again over a new one, and finds what the first attempt did");
            self.since = Some(Instant::now());
        }
    }

    fn next_pause(&mut self) -> Duration {
        self.pause = (self.pause * 2).clamp(MIN_RECONNECT_PAUSE, MAX_RECONNECT_PAUSE);
        self.pause
    }

    fn lasted_too_long(&self) -> bool {
        self.since
            .is_some_and(|since| since.elapsed() > MAX_MENDING_WHILE_STOPPING)
    }
}
