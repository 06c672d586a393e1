//! Auditing every campaign again and again, one replica at a time.

use std::time::{Duration, Instant};

use tidegate_telemetry::{FutureExt as _, story};
use tidegate_types::{CampaignId, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::instrument;
use uuid::Uuid;

use super::{Auditor, Bounds, Subject, slice_of};
use crate::{
    domain::{Audit, AuditOutcome, AuditReport},
    error::Result,
    metrics::Metrics,
    store::{PassUnderWay, SavedAudit, by},
    watch::current_if_closing_after,
};

/// Leases that each round compares first, so that what happens now is looked at now however many leases there are.
const NEWEST_LEASES: u64 = 2_000;
/// What a campaign may take beside its slice.
const OVERTIME: Duration = Duration::from_secs(15);
/// Pauses between two rounds for which a replica keeps the turn to audit; one that is killed or held still loses it then.
const TURN_INTERVALS: u32 = 3;
/// An ended campaign, all of whose leases were compared after its end, is audited again after this time.
const ENDED_AUDIT_INTERVAL: Duration = Duration::from_secs(24 * 3_600);
/// Campaigns of one round; those that were not audited for longest come first.
const MAX_CAMPAIGNS: i64 = 1_000;
const MAX_SHOWN: i64 = 100;

impl Auditor {
    /// Audits every campaign that is due, again and again until `stop` is cancelled, whenever no other replica does.
    pub async fn run(self, metrics: Metrics, interval: Duration, stop: CancellationToken) {
        let rounds = async {
            loop {
                sleep(interval).await;
                self.round(&metrics, interval).await;
            }
        };
        stop.run_until_cancelled(rounds).await;
        let ended = self
            .store
            .read(async |work| work.end_audit_turn(&self.name).await);
        if let Err(error) = ended.await {
            tracing::debug!(%error, "the turn to audit was not given up; it ends by itself");
        }
    }

    /// One round, if this replica has the turn; and what all rounds found last, whoever made them.
    async fn round(&self, metrics: &Metrics, interval: Duration) {
        let turn = interval * TURN_INTERVALS;
        let audited = async {
            let has_turn = self.take_turn(turn).await?;
            metrics.audits_here.set(has_turn.into());
            if has_turn {
                self.audit_due(metrics, interval).await?;
            }
            let since = current_if_closing_after(Timestamp::now_utc());
            self.store
                .read(async |read| read.audits_shown(MAX_SHOWN, since).await)
                .await
        };
        match audited.await {
            Ok(shown) => metrics.last_audit.replace(shown),
            Err(error) => {
                metrics.audited(AuditOutcome::Failed);
                tracing::warn!(%error, "no campaign could be audited, so nobody checks now that quota and issuance agree; look at the database, the next audit comes by itself");
            }
        }
    }

    async fn take_turn(&self, turn: Duration) -> Result<bool> {
        self.store
            .read(async |work| work.take_audit_turn(&self.name, turn).await)
            .await
    }

    /// Audits the campaigns that are due. One that cannot be audited does not keep the others from being so.
    async fn audit_due(&self, metrics: &Metrics, interval: Duration) -> Result {
        let now = Timestamp::now_utc();
        let since = current_if_closing_after(now);
        let due = self.store.read(async |read| {
            let complete_before = now - ENDED_AUDIT_INTERVAL;
            read.campaigns_to_audit(since, complete_before, MAX_CAMPAIGNS)
                .await
        });
        let due = due.await?;
        let mut first_failure = None;
        for id in due {
            if !self.take_turn(interval * TURN_INTERVALS).await? {
                return Ok(());
            }
            let slice = slice_of(interval);
            match by(Instant::now() + slice + OVERTIME, self.slice(&id, slice))
                .with_context(story())
                .await
            {
                Ok(outcome) => metrics.audited(outcome),
                Err(error) => {
                    metrics.audited(AuditOutcome::Failed);
                    first_failure.get_or_insert((id, error));
                }
            }
        }
        if let Some((id, error)) = first_failure {
            tracing::warn!(campaign_id = %id, %error, "a campaign could not be audited, so nobody checks now that quota and issuance agree; look at issuance and the database, the next audit comes by itself");
        }
        Ok(())
    }

    /// Compares the newest leases of a campaign and, if there are more, goes on with the pass over all of them.
    #[instrument(name = "audit campaign", skip_all)]
    async fn slice(&self, id: &CampaignId, slice: Duration) -> Result<AuditOutcome> {
        let (now, began) = (Timestamp::now_utc(), Instant::now());
        let bounds = |leases| Bounds {
            leases,
            until: began + slice,
            deadline: began + slice + OVERTIME,
            // The newest are few, and looked at whatever they cost.
            rests: leases > NEWEST_LEASES,
        };
        let subject = self.subject(id).await?;
        let newest = bounds(NEWEST_LEASES);
        let (audit, next) = self.begin(&subject, &newest).await?;
        let sums = audit.sums();
        let report = self.end(&subject, audit, next.is_none(), &newest);
        let report = report.await?;
        log(id, &report);
        let mut saved = SavedAudit {
            audited_at: now,
            leases_compared: report.coverage.leases,
            leases_left_out: report.coverage.leases_left_out,
            differences: report.difference_count,
            under_way: None,
            complete: report.coverage.is_complete.then_some((now, report.sums)),
        };
        let mut outcome = report.outcome();
        if let Some(next) = next.filter(|_| !report.coverage.is_complete) {
            let kept = subject.kept.under_way;
            let pass = kept.unwrap_or((next, now, sums));
            let (left, report) = self.go_on(&subject, pass, &bounds(u64::MAX)).await?;
            let ((_, began_at, _), sums) = (pass, report.sums);
            saved.complete = report.coverage.is_complete.then_some((began_at, sums));
            let left = left.filter(|_| saved.complete.is_none());
            saved.under_way = left.map(|next| (next, began_at, sums));
            if report.difference_count > 0 {
                outcome = AuditOutcome::Different;
            }
        }
        let number = subject.campaign.number;
        self.store
            .read(async |work| work.save_audit(number, &self.name, &saved).await)
            .await?;
        Ok(outcome)
    }

    /// Goes on with a pass over all leases of a campaign; where it is to go on, if there are more.
    async fn go_on(
        &self,
        subject: &Subject,
        (from, _, sums): PassUnderWay,
        bounds: &Bounds,
    ) -> Result<(Option<Uuid>, AuditReport)> {
        let mut audit = Audit::resume(sums);
        let next = self.walk(&subject.campaign, &mut audit, from, bounds);
        let next = next.await?;
        let report = self.end(subject, audit, next.is_none(), bounds);
        let report = report.await?;
        log(&subject.campaign.terms.id, &report);
        Ok((next, report))
    }
}

fn log(id: &CampaignId, report: &AuditReport) {
    for difference in &report.differences {
        tracing::error!(campaign_id = %id, kind = difference.kind.name(), difference = difference.description, differences_in_all = report.difference_count, "the books of a campaign do not add up: a promise may be broken; halt its issuing, keep both databases as they are, and find out why");
    }
    let coverage = &report.coverage;
    let oldest_lease = coverage.oldest_lease.map(|lease| lease.to_string());
    if coverage.is_complete {
        tracing::debug!(campaign_id = %id, leases = coverage.leases, leases_forgotten = coverage.leases_forgotten, differences = report.difference_count, "every lease of a campaign was compared");
    } else {
        tracing::info!(campaign_id = %id, leases = coverage.leases, oldest_lease, leases_left_out = coverage.leases_left_out, last_complete_at = ?coverage.last_complete_at, differences = report.difference_count, "the leases of a campaign were compared in part, the newest first; the next audits go on with the others");
    }
}
