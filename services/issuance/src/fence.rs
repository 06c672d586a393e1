//! The fence around lent stock, as quota uses it: seals leases of any holder, and tells what has been spent inside.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::PgPool;
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{CampaignNumber, Lane, Lanes};
use uuid::Uuid;

use crate::{
    campaigns::Campaigns,
    domain::{campaign::Campaign, fence::Fence},
    error::IssuanceError,
    metrics::IssuanceMetrics,
    store::{
        controls,
        fence::{self, CouponCount, CouponRange},
        history,
        leases::{self, LeaseToSeal, SealedLease},
    },
};

/// Lanes of one call that are worked on at once, so that one call leaves connections for others.
const LANES_AT_ONCE: usize = 4;
/// Kept back from a count's deadline, so that the database gives up first and the connection stays good.
const COUNT_MARGIN: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct LeaseFence {
    /// Where leases are; not the writers' connections, so that claims of other leases go on.
    pub pool: PgPool,
    /// For audits: however many are asked for, they take no connection from seals, installations and look-ups.
    pub audit_pool: PgPool,
    pub lane_count: Lanes,
    pub tracing: Tracing,
    pub metrics: IssuanceMetrics,
    pub campaigns: Campaigns,
}

impl LeaseFence {
    /// Seals leases for ever and tells what was used of each, in their order. Each lane is one transaction: after an error some may be sealed, and asking again tells the same of them.
    pub async fn seal(
        &self,
        leases: Vec<(Lane, LeaseToSeal)>,
        trace: TraceContext,
    ) -> Result<Vec<SealedLease>, IssuanceError> {
        let mut span = self.tracing.start("seal leases", SpanKind::Internal, trace);
        span.attribute("tidegate.leases", leases.len() as i64);
        let keys: Vec<_> = leases
            .iter()
            .map(|(lane, lease)| (*lane, lease.id))
            .collect();
        let mut by_lane = BTreeMap::<Lane, BTreeMap<Uuid, LeaseToSeal>>::new();
        for (lane, lease) in leases {
            by_lane.entry(lane).or_default().insert(lease.id, lease);
        }
        let by_lane = by_lane.into_iter().map(|(lane, leases)| {
            let pool = self.pool.clone();
            async move {
                let leases: Vec<_> = leases.into_values().collect();
                let sealed = leases::seal(&pool, lane, &leases).await?;
                let ids = leases.into_iter().map(move |lease| (lane, lease.id));
                Ok::<_, sqlx::Error>(ids.zip(sealed).collect::<Vec<_>>())
            }
        });
        let sealed = stream::iter(by_lane).buffer_unordered(LANES_AT_ONCE);
        let sealed: Vec<_> = sealed
            .try_collect()
            .await
            .inspect_err(|error| span.fail(error.to_string()))?;
        let sealed: BTreeMap<_, _> = sealed.into_iter().flatten().collect();
        self.metrics.seals.inc_by(sealed.len() as u64);
        in_order(&keys, &sealed)
    }

    /// Puts what staff have said of a campaign's coupons into every lane. After an error it may be in some, and asking again is harmless.
    pub async fn apply_control(
        &self,
        campaign: Campaign,
        trace: TraceContext,
    ) -> Result<(), IssuanceError> {
        let mut span = self
            .tracing
            .start("apply control", SpanKind::Internal, trace);
        let (number, control) = (campaign.number, campaign.coupon_control());
        let applied = async {
            self.campaigns.keep(campaign).await?;
            let lanes = self.lane_count.all().map(|lane| {
                let pool = self.pool.clone();
                async move { controls::apply(&pool, lane, number, &control).await }
            });
            let lanes = stream::iter(lanes).buffer_unordered(LANES_AT_ONCE);
            lanes.try_collect::<Vec<()>>().await
        };
        applied
            .await
            .inspect_err(|error| span.fail(error.to_string()))?;
        Ok(())
    }

    /// How leases stand, in their order.
    pub async fn inspect(&self, keys: Vec<(Lane, Uuid)>) -> Result<Vec<Fence>, IssuanceError> {
        let mut by_lane = BTreeMap::<Lane, BTreeSet<Uuid>>::new();
        for (lane, lease) in &keys {
            by_lane.entry(*lane).or_default().insert(*lease);
        }
        let by_lane = by_lane.into_iter().map(|(lane, leases)| {
            let pool = self.audit_pool.clone();
            async move {
                let leases: Vec<_> = leases.into_iter().collect();
                let fences = fence::inspect(&pool, lane, &leases).await?;
                let ids = leases.into_iter().map(move |lease| (lane, lease));
                Ok::<_, sqlx::Error>(ids.zip(fences).collect::<Vec<_>>())
            }
        });
        let fences = stream::iter(by_lane).buffer_unordered(LANES_AT_ONCE);
        let fences: Vec<_> = fences.try_collect().await?;
        in_order(&keys, &fences.into_iter().flatten().collect())
    }

    /// Ends a campaign in every lane: no lease of it is installed from now on. After an error it may be ended in some, and asking again is harmless.
    pub async fn retire(&self, campaign: CampaignNumber) -> Result<(), IssuanceError> {
        let lanes = self.lane_count.all().map(|lane| {
            let pool = self.pool.clone();
            async move { history::retire(&pool, lane, campaign).await }
        });
        let lanes = stream::iter(lanes).buffer_unordered(LANES_AT_ONCE);
        lanes.try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Counts coupons and compares them with their leases. Runs in a task of its own: a caller that hangs up must not leave a connection in the middle of it.
    pub async fn count(
        self,
        range: CouponRange,
        deadline: Instant,
    ) -> Result<CouponCount, IssuanceError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left.saturating_sub(COUNT_MARGIN);
        if limit.is_zero() {
            return Err(IssuanceError::OutOfTime);
        }
        Ok(fence::count(&self.audit_pool, &range, limit).await?)
    }
}

fn in_order<T: Clone>(
    keys: &[(Lane, Uuid)],
    found: &BTreeMap<(Lane, Uuid), T>,
) -> Result<Vec<T>, IssuanceError> {
    keys.iter()
        .map(|key| found.get(key).cloned().ok_or(IssuanceError::Internal))
        .collect()
}
