//! Auditing campaigns: quota's books against issuance's leases and coupons, also while claims run and long after the end.
//!
//! Leases are compared one by one, newest first, page by page. An audit says how far it came.

mod counting;
mod rounds;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_telemetry::{fail, note};
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use tokio::time::sleep_until;
use tracing::instrument;
use uuid::Uuid;

use crate::{
    domain::{Audit, AuditReport, Campaign, Coverage, LeaseBooks, TierBooks},
    error::Result,
    issuance::{IssuanceClient, MAX_LEASES_PER_CALL},
    store::{KeptPass, Store, by},
};

/// Coupons that the leases of one page may have used, so that a page is counted in a fraction of a
/// second; a page has one lease in any case.
const MAX_COUPONS_PER_PAGE: u64 = 20_000;
/// A pass that nobody asked for rests so many times as long as each page took: it takes about a tenth
/// of a processor, and leaves the others to claims.
const REST_FACTOR: u32 = 9;
/// Lanes that are counted at once; each holds a connection of issuance's for audits.
const LANES_COUNTED_AT_ONCE: usize = 2;

/// Audits campaigns. Its store is for audits alone: they wait for connections as long as they like, and nobody else does.
#[derive(Clone)]
pub struct Auditor {
    store: Store,
    issuance: IssuanceClient,
    name: Arc<str>,
}

struct Subject {
    campaign: Campaign,
    kept: KeptPass,
}

/// How far one walk over leases may go. One page is compared in any case.
struct Bounds {
    leases: u64,
    until: Instant,
    /// When answers are of no use any more.
    deadline: Instant,
    /// Whether it leaves the machine to others between two pages.
    rests: bool,
}

impl Auditor {
    /// An auditor of what is kept in a store, with a name of its own.
    pub fn new(store: Store, issuance: IssuanceClient) -> Self {
        let name = Uuid::new_v4().to_string().into();
        Self {
            store,
            issuance,
            name,
        }
    }

    /// Audits one campaign, as much of it as fits into three quarters of the time; answers with it and what was found.
    #[instrument(name = "audit campaign", skip_all)]
    pub async fn audit(
        &self,
        id: &CampaignId,
        deadline: Instant,
    ) -> Result<(Campaign, AuditReport)> {
        let now = Instant::now();
        let bounds = Bounds {
            leases: u64::MAX,
            until: now + deadline.saturating_duration_since(now) / 4 * 3,
            deadline,
            rests: false,
        };
        let audited = by(deadline, async {
            let subject = self.subject(id).await?;
            let (audit, next) = self.begin(&subject, &bounds).await?;
            let report = self.end(&subject, audit, next.is_none(), &bounds);
            Ok((report.await?, subject.campaign))
        });
        let (report, campaign) = audited.await.inspect_err(fail)?;
        note("tidegate.leases", report.coverage.leases as i64);
        note("tidegate.differences", report.difference_count as i64);
        Ok((campaign, report))
    }

    async fn subject(&self, id: &CampaignId) -> Result<Subject> {
        let subject = self.store.read_without_limit(async |read| {
            let campaign = read.campaign(id).await?;
            Ok(Subject {
                kept: read.audit_pass(campaign.number).await?,
                campaign,
            })
        });
        subject.await
    }

    /// Reads quota's books and compares the newest leases; where to go on, if there are more.
    async fn begin(&self, subject: &Subject, bounds: &Bounds) -> Result<(Audit, Option<Uuid>)> {
        let campaign = &subject.campaign;
        let is_closed = campaign.terms.closes_at <= Timestamp::now_utc();
        let mut audit = Audit::begin(&self.tier_books(campaign.number).await?, is_closed);
        if subject.kept.is_retired {
            return Ok((audit, None));
        }
        let next = self.walk(campaign, &mut audit, Uuid::max(), bounds);
        let next = next.await?;
        Ok((audit, next))
    }

    /// Compares leases from one downwards; where to go on, if there are more. The order of the readings is what makes the comparisons hold while claims run: see [`Audit`].
    async fn walk(
        &self,
        campaign: &Campaign,
        audit: &mut Audit,
        from: Uuid,
        bounds: &Bounds,
    ) -> Result<Option<Uuid>> {
        let (before, mut next) = (audit.sums().leases, Some(from));
        while let Some(last) = next {
            let page_began = Instant::now();
            let (page, is_last) = self.page(campaign.number, last).await?;
            let first = match page.last() {
                Some(lease) if !is_last => lease.lease_id,
                _ => Uuid::nil(),
            };
            let fenced = self.issuance.inspect(&page, bounds.deadline).await?;
            let leases = first..=last;
            let coupons = self.count_coupons(campaign, &leases, bounds.deadline);
            audit.page(&page, &fenced, &coupons.await?);
            next = first.as_u128().checked_sub(1).map(Uuid::from_u128);
            if audit.sums().leases - before >= bounds.leases || Instant::now() >= bounds.until {
                break;
            }
            if bounds.rests && next.is_some() {
                let rest = page_began.elapsed() * REST_FACTOR;
                sleep_until((Instant::now() + rest).min(bounds.until).into()).await;
            }
        }
        Ok(next)
    }

    /// A page of leases from one downwards, and whether it is the last.
    async fn page(&self, campaign: CampaignNumber, from: Uuid) -> Result<(Vec<LeaseBooks>, bool)> {
        let page = self.store.read_without_limit(async |read| {
            read.lease_books(campaign, from, MAX_LEASES_PER_CALL).await
        });
        let mut page = page.await?;
        let is_last = page.len() < MAX_LEASES_PER_CALL as usize;
        let mut coupons = 0;
        let fitting = page.iter().take_while(|lease| {
            coupons += lease.used.unwrap_or(lease.granted).total();
            coupons <= MAX_COUPONS_PER_PAGE
        });
        let fitting = fitting.count().max(1);
        let is_cut = fitting < page.len();
        page.truncate(fitting);
        Ok((page, is_last && !is_cut))
    }

    /// Ends an audit with quota's books as they are by now. If the campaign was retired meanwhile, leases may have been forgotten while they were compared, and only sums count.
    async fn end(
        &self,
        subject: &Subject,
        audit: Audit,
        is_complete: bool,
        bounds: &Bounds,
    ) -> Result<AuditReport> {
        let campaign = &subject.campaign;
        let after = self.tier_books(campaign.number).await?;
        let kept = self
            .store
            .read_without_limit(async |read| read.audit_pass(campaign.number).await);
        let is_retired = kept.await?.is_retired;
        let leases: u64 = after.iter().map(|books| books.leases).sum();
        let left_out = leases.saturating_sub(audit.sums().leases);
        let is_complete = is_complete || is_retired;
        let coverage = Coverage {
            leases_left_out: if is_complete { 0 } else { left_out },
            is_complete,
            leases_forgotten: is_retired,
            last_complete_at: subject.kept.complete_at,
            ..Coverage::default()
        };
        if !is_retired {
            return Ok(audit.report(&after, coverage));
        }
        let sums = Audit::begin(&after, true);
        // The coupons of no lease at all: only the sums of the archived ones are wanted.
        let none = Uuid::max()..=Uuid::nil();
        let kept = self.count_coupons(campaign, &none, bounds.deadline);
        Ok(sums.report_forgotten(&after, &kept.await?.archived_used, coverage))
    }

    async fn tier_books(&self, campaign: CampaignNumber) -> Result<Vec<TierBooks>> {
        self.store
            .read_without_limit(async |read| read.tier_books(campaign).await)
            .await
    }
}

/// How long one campaign may take in a round, beside the calls under way at its end.
fn slice_of(interval: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);
    (interval / 2).clamp(SHORTEST, LONGEST)
}
