//! Taking leases back from lease holders that fell silent, from campaigns that staff halted, and from campaigns that have ended.
//!
//! Nothing here proves that a lease holder is dead, and nothing needs to: a lease is credited only with what issuance says was used when it sealed it. Until issuance answers, the stock stays on lease.

use std::time::{Duration, Instant};

use tidegate_telemetry::{FutureExt as _, TraceContext, fail, story};
use tidegate_types::{ReplicaId, Timestamp};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::instrument;
use uuid::Uuid;

use crate::{
    domain::{SILENT_AFTER_READINGS, SilenceWatch, TierCounts},
    error::{QuotaError, Result},
    issuance::{IssuanceClient, MAX_LEASES_PER_CALL},
    leases::Leases,
    metrics::Metrics,
    outage::Outage,
    store::{LeaseToReclaim, Store},
    wake::Wake,
};

/// Lease holders that are watched at once; those that hold a lease come first.
const MAX_LEASE_HOLDERS: i64 = 10_000;
/// How soon leases that could not be taken back are tried again, if the next reading is not sooner.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// A settlement that waits longer for a connection is left to the next round.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes leases back. Any number of replicas may do so at once, and lease holders may return the same leases meanwhile: all settle with the same counts, and the first one counts.
pub struct Reclaimer {
    pub store: Store,
    pub leases: Leases,
    pub issuance: IssuanceClient,
    pub metrics: Metrics,
    pub wake: Wake,
}

impl Reclaimer {
    /// Reads the lease holders as often as it takes to find one silent within `lease_ttl`, and takes back what is to be taken back, until `stop` is cancelled.
    ///
    /// Being woken takes back at once but reads no lease holders: if every halt were a reading, halts in quick succession would make living lease holders silent.
    pub async fn run(self, lease_ttl: Duration, stop: CancellationToken) {
        let reading_interval = lease_ttl / SILENT_AFTER_READINGS;
        let (mut watch, mut silent) = (SilenceWatch::default(), Vec::new());
        let mut next_reading = Instant::now();
        let mut outage = Outage::default();
        while !stop.is_cancelled() {
            let mut outcome = Ok(());
            if next_reading <= Instant::now() {
                silent.clear();
                let found = self.find_silent(&mut watch).await;
                outcome = found.map(|found| silent = found);
                // Counted from now, so that a process that was stopped makes up for no reading it missed.
                next_reading = Instant::now() + reading_interval;
            }
            let reclaimed = self.reclaim(&silent, Timestamp::now_utc()).await;
            let mut next_round = next_reading;
            let outcome = outcome.and(reclaimed);
            outage.note(
                &outcome,
                "leases cannot be taken back: their stock stays on lease and halts are not acknowledged, and nothing is lost by that; look at issuance and the database, this goes on by itself when they are back",
                "leases are taken back again",
            );
            if outcome.is_err() {
                next_round = next_round.min(Instant::now() + RETRY_INTERVAL);
                self.metrics.reclaim_failures.inc();
            }
            tokio::select! {
                () = sleep_until(next_round.into()) => {}
                () = self.wake.woken() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Takes a reading of all lease holders; tells those that are silent and forgets those of them that hold nothing.
    pub async fn find_silent(&self, watch: &mut SilenceWatch) -> Result<Vec<ReplicaId>> {
        let readings = self
            .store
            .read(async |read| read.lease_holders(MAX_LEASE_HOLDERS).await);
        let silent = watch.observe(readings.await?).into_iter();
        let (holding, over): (Vec<_>, Vec<_>) = silent.partition(|silent| silent.is_holding);
        self.metrics.silent_holders.set(holding.len() as i64);
        if !over.is_empty() {
            let deadline = Instant::now() + SETTLE_TIMEOUT;
            let forgotten = self.store.transaction(deadline, async |work| {
                work.forget_lease_holders(&over).await
            });
            forgotten.await?;
        }
        Ok(holding.into_iter().map(|silent| silent.holder).collect())
    }

    /// Takes back every lease of these silent lease holders, of halted campaigns, and of campaigns that have ended by `now`.
    pub async fn reclaim(&self, silent: &[ReplicaId], now: Timestamp) -> Result {
        let silent: Vec<_> = silent.iter().map(ReplicaId::as_str).collect();
        let cause = self.wake.cause().map_or_else(story, TraceContext::context);
        let (mut from, mut outcome) = (Some(Uuid::nil()), Ok(()));
        while let Some(first) = from {
            let page = self.store.read(async |read| {
                read.leases_to_reclaim(now, &silent, first, MAX_LEASES_PER_CALL)
                    .await
            });
            let page = page.await?;
            let Some(last) = page.last() else {
                break;
            };
            let next = last.lease_id.as_u128().checked_add(1);
            from = next.map(Uuid::from_u128);
            let taken_back = self.take_back(&page).with_context(cause.clone());
            outcome = outcome.and(taken_back.await);
        }
        outcome
    }

    /// Seals leases at issuance and settles each with what was used of it.
    #[instrument(name = "seal leases", skip_all, fields(tidegate.leases = leases.len()))]
    async fn take_back(&self, leases: &[LeaseToReclaim]) -> Result {
        let sealed = self.issuance.seal(leases).await.inspect_err(fail)?;
        let mut outcome = Ok(());
        for (lease, used) in leases.iter().zip(sealed) {
            match self.settle(lease, &used).await {
                Ok(()) => {}
                // The others need not wait for a lease that somebody has to look at.
                Err(error @ QuotaError::SealDisagrees { .. }) => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }

    async fn settle(&self, lease: &LeaseToReclaim, used: &TierCounts) -> Result {
        let (now, deadline) = (Timestamp::now_utc(), Instant::now() + SETTLE_TIMEOUT);
        let settled = self
            .leases
            .settle(lease.lease_id, used, lease.because, now, deadline);
        match settled.await {
            Ok(true) => {
                self.metrics.reclaimed(lease.because);
                Ok(())
            }
            // The lease holder returned it, or another replica was first.
            Ok(false) => Ok(()),
            Err(error) => Err(match disagreement(&error) {
                Some(why) => QuotaError::SealDisagrees {
                    lease_id: lease.lease_id,
                    why,
                },
                None => error,
            }),
        }
    }
}

/// What quota has against the counts that issuance sealed; `None` if the settlement failed for another reason, which time may mend.
fn disagreement(error: &QuotaError) -> Option<String> {
    match error {
        QuotaError::LeaseSettledOtherwise => Some(error.to_string()),
        QuotaError::InvalidFields(bad) => {
            let bad = bad.clone().into_vec().into_iter();
            let sentences = bad.map(|bad| format!("{} {}", bad.field, bad.description));
            Some(sentences.collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}
