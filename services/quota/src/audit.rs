//! Auditing campaigns: quota's books against issuance's leases and coupons, also while claims run.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Metrics, QuotaError,
    domain::{Audit, AuditReport, Campaign, CouponBooks, TierBooks},
    issuance::{IssuanceClient, MAX_LEASES_PER_CALL},
    metrics::AuditOutcome,
    store::{Store, next_lease_id},
    watch::{Watch, current_if_closing_after},
};

/// Leases of one campaign that are compared one by one. The sums over all leases are compared however many there are.
pub const MAX_LEASES_COMPARED: u64 = 200_000;
/// Lanes that are counted at once; each count reads a whole lane, and claims come first.
const LANES_COUNTED_AT_ONCE: usize = 4;
/// The longest an audit nobody waits for may take.
const BACKGROUND_AUDIT_LIMIT: Duration = Duration::from_secs(60);

/// Audits campaigns.
#[derive(Clone)]
pub struct Auditor {
    store: Store,
    issuance: IssuanceClient,
    tracing: Tracing,
}

impl Auditor {
    /// An auditor of what is kept in a store.
    pub fn new(store: Store, issuance: IssuanceClient, tracing: Tracing) -> Self {
        Self {
            store,
            issuance,
            tracing,
        }
    }

    /// Audits one campaign; answers with it and what was found.
    pub async fn audit(
        &self,
        id: &CampaignId,
        deadline: Instant,
        trace: TraceContext,
    ) -> Result<(Campaign, AuditReport), QuotaError> {
        let mut span = self
            .tracing
            .start("audit campaign", SpanKind::Internal, trace);
        let audited = by(deadline, self.compare(id, deadline, span.context())).await;
        match &audited {
            Ok((_, report)) => {
                span.attribute("tidegate.leases", report.leases as i64);
                span.attribute("tidegate.differences", report.difference_count as i64);
            }
            Err(error) => span.fail(error.to_string()),
        }
        audited
    }

    /// Audits every watched campaign again and again until `stop` is cancelled.
    pub async fn run(
        self,
        watch: Watch,
        metrics: Metrics,
        interval: Duration,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = sleep(interval) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = self.audit_watched(&watch, &metrics) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Audits every watched campaign once. One that cannot be audited does not keep the others from being so.
    async fn audit_watched(&self, watch: &Watch, metrics: &Metrics) {
        let watched = watch.newest();
        let (mut found, mut first_failure) = (Vec::new(), None);
        let since = current_if_closing_after(Timestamp::now_utc());
        // Of those that ended long ago nothing is issued, and counting their coupons reads them all.
        let current = watched.campaigns.values();
        let current = current.filter(|campaign| campaign.terms.closes_at > since);
        for campaign in current {
            let id = &campaign.terms.id;
            let deadline = Instant::now() + BACKGROUND_AUDIT_LIMIT;
            match self.audit(id, deadline, self.tracing.new_root()).await {
                Ok((_, report)) => {
                    metrics.audited(AuditOutcome::of(&report));
                    log_differences(id, &report);
                    found.push((id.clone(), report.difference_count));
                }
                Err(error) => {
                    metrics.audited(AuditOutcome::Failed);
                    first_failure.get_or_insert((id.clone(), error));
                }
            }
        }
        metrics.audit_found(found, first_failure.is_none());
        if let Some((id, error)) = first_failure {
            tracing::warn!(campaign_id = %id, %error, "a campaign could not be audited, so nobody checks now that quota and issuance agree; look at issuance and the database, the next audit comes by itself");
        }
    }

    /// The order of the readings is what makes the comparisons hold while claims run: see [`Audit`].
    async fn compare(
        &self,
        id: &CampaignId,
        deadline: Instant,
        trace: TraceContext,
    ) -> Result<(Campaign, AuditReport), QuotaError> {
        let mut read = self.store.begin_read().await?;
        let found = read.campaign(id).await;
        let campaign = read.end(found).await?.ok_or(QuotaError::CampaignNotFound)?;
        let number = campaign.number;
        let before = self.tier_books(number).await?;
        let coupons = self.count_coupons(number, deadline, trace).await?;
        let after = self.tier_books(number).await?;
        let mut audit = Audit::of_tiers(&before, &coupons, &after);
        self.compare_leases(number, &mut audit, deadline, trace)
            .await?;
        Ok((campaign, audit.report()))
    }

    async fn tier_books(&self, campaign: CampaignNumber) -> Result<Vec<TierBooks>, QuotaError> {
        let mut read = self.store.begin_read().await?;
        let books = read.tier_books(campaign).await;
        read.end(books).await
    }

    async fn count_coupons(
        &self,
        campaign: CampaignNumber,
        deadline: Instant,
        trace: TraceContext,
    ) -> Result<CouponBooks, QuotaError> {
        let count = |lane| self.issuance.count_coupons(campaign, lane, deadline, trace);
        let first = count(0).await?;
        let lanes = first.lanes;
        let rest: Vec<_> = stream::iter(1..u32::from(lanes.get()))
            .map(count)
            .buffer_unordered(LANES_COUNTED_AT_ONCE)
            .try_collect()
            .await?;
        let mut all = first.books;
        for lane in rest {
            if lane.lanes != lanes {
                let (one, other) = (lanes.get(), lane.lanes.get());
                return Err(QuotaError::IssuanceUnreadable(format!(
                    "one replica says that there are {one} lanes and another says {other}"
                )));
            }
            all.coupons = all.coupons.plus(&lane.books.coupons);
            all.on_live_leases = all.on_live_leases.plus(&lane.books.on_live_leases);
            all.mismatches.extend(lane.books.mismatches);
        }
        Ok(all)
    }

    async fn compare_leases(
        &self,
        campaign: CampaignNumber,
        audit: &mut Audit,
        deadline: Instant,
        trace: TraceContext,
    ) -> Result<(), QuotaError> {
        let (mut from, mut compared) = (Some(Uuid::nil()), 0);
        while let Some(first) = from
            && compared < MAX_LEASES_COMPARED
        {
            let mut read = self.store.begin_read().await?;
            let page = read.lease_books(campaign, first, MAX_LEASES_PER_CALL).await;
            let page = read.end(page).await?;
            let Some(last) = page.last() else {
                break;
            };
            from = next_lease_id(last.lease_id);
            let keys: Vec<_> = page
                .iter()
                .map(|books| (books.lease_id, books.lane))
                .collect();
            let fenced = self.issuance.inspect(&keys, deadline, trace).await?;
            for (books, fenced) in page.iter().zip(&fenced) {
                audit.lease(books, fenced.as_ref());
            }
            compared += page.len() as u64;
        }
        Ok(())
    }
}

fn log_differences(id: &CampaignId, report: &AuditReport) {
    for difference in &report.differences {
        tracing::error!(campaign_id = %id, kind = difference.kind.name(), difference = difference.description, differences_in_all = report.difference_count, "the books of a campaign do not add up: a promise may be broken; halt its issuing, keep both databases as they are, and find out why");
    }
}

/// Gives reading up at the deadline; a read that takes so long counts as a broken connection.
async fn by<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, QuotaError>>,
) -> Result<T, QuotaError> {
    timeout_at(deadline.into(), work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()))
}
