//! Lending stock to issuance replicas and taking it back.

use std::time::Instant;

use tidegate_telemetry::{fail, note};
use tidegate_types::{ReplicaId, Timestamp};
use tracing::instrument;
use uuid::Uuid;

use crate::{
    domain::{
        Control, IssuanceControl, Lease, LeaseAnswer, LeaseRequest, SealedBecause, Settlement,
        TierCounts, grant, nothing_leased, sold_out,
    },
    error::{QuotaError, Result},
    metrics::Metrics,
    store::{Store, Work},
};

#[derive(Clone)]
pub struct Leases {
    store: Store,
    metrics: Metrics,
}

impl Leases {
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Moves stock from the pool to a lease, once for each lease id; granted again, it names the same quantities, also after the campaign's end. Nothing granted leaves no trace.
    #[instrument(
        name = "grant lease",
        skip_all,
        fields(
            otel.kind = "client",
            db.system.name = "postgresql",
            tidegate.lease_id = %request.lease_id,
            tidegate.campaign_number = request.campaign.get(),
            tidegate.holder_id = %request.holder,
            tidegate.lane = request.lane.get(),
        )
    )]
    pub async fn acquire(
        &self,
        request: &LeaseRequest,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<LeaseAnswer> {
        let acquired = self
            .store
            .transaction(deadline, async |work| acquire(work, request, now).await)
            .await;
        let (answer, is_new) = acquired.inspect_err(fail)?;
        note("tidegate.granted", answer.granted.total() as i64);
        note("tidegate.replayed", !is_new);
        if is_new {
            self.metrics.leased(answer.granted.total());
        }
        Ok(answer)
    }

    /// Settles a lease that has been sealed, once: what was used stays used, the rest goes back to the pool. True if this call did it, false if an earlier one had with the same counts.
    #[instrument(
        name = "settle lease",
        skip_all,
        fields(otel.kind = "client", db.system.name = "postgresql", tidegate.lease_id = %lease_id)
    )]
    pub async fn settle(
        &self,
        lease_id: Uuid,
        used: &TierCounts,
        because: SealedBecause,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<bool> {
        let settled = self
            .store
            .transaction(deadline, async |work| {
                settle(work, lease_id, used, because, now).await
            })
            .await;
        let Some(lease) = settled.inspect_err(fail)? else {
            return Ok(false);
        };
        let returned = lease.granted.total() - used.total();
        note("tidegate.returned", returned as i64);
        note("tidegate.sealed_because", because.name());
        self.metrics.settled(used.total(), returned);
        Ok(true)
    }

    pub async fn renew(&self, holder: &ReplicaId, deadline: Instant) -> Result {
        self.store
            .transaction(deadline, async |work| work.renew_lease_holder(holder).await)
            .await
    }
}

/// The answer to a request for a lease, and whether stock moved.
async fn acquire(
    work: &mut Work,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<(LeaseAnswer, bool)> {
    let mut stock = work.lock_tiers(request.campaign).await?;
    let lending = work.lending(request.campaign).await?;
    if lending.tier_count != stock.len() as u64 {
        // Its tiers were replaced while this waited for their locks.
        stock = work.lock_tiers(request.campaign).await?;
    }
    if let Some(lease) = work.lease(request.lease_id).await? {
        let known = lease.is_for(request);
        let answer = known.then(|| LeaseAnswer::new(request, lease.granted, &stock));
        return Ok((answer.ok_or(QuotaError::LeaseIdTaken)?, false));
    }
    // By this replica's clock; a campaign that staff ended, or that is retired, is over whatever any clock says.
    if lending.is_over || lending.closes_at <= now {
        return Err(QuotaError::CampaignClosed);
    }
    if is_held_back(&lending.control, now)? {
        return Ok((LeaseAnswer::held_back(&stock), false));
    }
    let beyond = request
        .wanted
        .some()
        .find(|(tier, _)| usize::from(tier.get()) >= stock.len());
    if let Some((tier, _)) = beyond {
        let tiers = stock.len();
        let what =
            format!("names tier {tier}, but the campaign has {tiers} tiers, numbered from 0");
        return Err(QuotaError::invalid_field("wanted", what));
    }
    let others = work.others_with_leases(request).await?;
    let granted = grant(&request.wanted, request.wanted_of_any_tier, &stock, others);
    let is_new = granted.total() > 0;
    if is_new {
        work.grant_lease(request, &granted, now).await?;
    }
    let lent = stock.iter().zip(granted.iter());
    let after: Vec<_> = lent
        .map(|(stock, (_, quantity))| stock.lend(quantity))
        .collect();
    Ok((LeaseAnswer::new(request, granted, &after), is_new))
}

/// Whether claims are to wait. [`QuotaError::IssuanceHalted`] if they are to be refused.
fn is_held_back(control: &Control, now: Timestamp) -> Result<bool> {
    match control.issuance {
        IssuanceControl::Open => Ok(false),
        IssuanceControl::QueueOnly => Ok(true),
        IssuanceControl::Halted => {
            // A moment that has passed without a change no longer tells when.
            let resume_at = control.resume_at.filter(|resume_at| *resume_at > now);
            Err(QuotaError::IssuanceHalted { resume_at })
        }
    }
}

async fn settle(
    work: &mut Work,
    lease_id: Uuid,
    used: &TierCounts,
    because: SealedBecause,
    now: Timestamp,
) -> Result<Option<Lease>> {
    let stock = work.lock_tiers_of_lease(lease_id).await?;
    let lease = work.lease(lease_id).await?;
    let lease = lease.ok_or(QuotaError::LeaseNotFound)?;
    if lease.settle(used)? == Settlement::Before {
        return Ok(None);
    }
    work.settle_lease(&lease, used, because, now).await?;
    let settled = stock.iter().zip(lease.granted.iter());
    let after: Vec<_> = settled
        .map(|(stock, (tier, granted))| stock.settle(granted, used.get(tier)))
        .collect();
    // Settling is the only step that takes the last coupon off lease, so the campaign sells out or has come to a halt here or nowhere.
    let campaign = lease.request.campaign;
    let is_halted = nothing_leased(&after)
        && work.lending(campaign).await?.control.issuance == IssuanceControl::Halted;
    if is_halted || sold_out(&after) {
        work.bump_revision(campaign).await?;
    }
    Ok(Some(lease))
}
