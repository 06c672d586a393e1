//! The fence around lent stock, as quota uses it: seals leases of any holder, and tells what has been spent inside.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_telemetry::fail;
use tidegate_types::{CampaignNumber, Lane};
use tracing::instrument;
use uuid::Uuid;

use crate::{
    domain::{campaign::Campaign, fence::Fence},
    error::{IssuanceError, Result},
    replica::Replica,
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

impl Replica {
    /// Seals leases for ever and tells what was used of each, in their order. Each lane is one transaction: after an error some may be sealed, and asking again tells the same of them.
    #[instrument(skip_all, name = "seal leases", fields(tidegate.leases = leases.len()))]
    pub async fn seal_leases(&self, leases: Vec<(Lane, LeaseToSeal)>) -> Result<Vec<SealedLease>> {
        let seal = |lane, leases: Vec<LeaseToSeal>| async move {
            let sealed = leases::seal(&self.pool, lane, &leases).await?;
            self.metrics.seals.inc_by(sealed.len() as u64);
            Ok(sealed)
        };
        let sealed = lane_by_lane(leases, |lease| lease.id, seal).await;
        Ok(sealed.inspect_err(fail)?)
    }

    /// Puts what staff have said of a campaign's coupons into every lane. After an error it may be in some, and asking again is harmless.
    #[instrument(name = "apply control", skip_all)]
    pub async fn apply_control(&self, campaign: Campaign) -> Result<()> {
        let (number, control) = (campaign.number, campaign.coupon_control());
        let applied = async {
            self.campaigns.keep(campaign).await?;
            let apply = |lane| controls::apply(&self.pool, lane, number, &control);
            few_at_once(self.lanes.all().map(apply)).await
        };
        applied.await.inspect_err(fail)?;
        Ok(())
    }

    /// How leases stand, in their order.
    pub async fn inspect_leases(&self, keys: Vec<(Lane, Uuid)>) -> Result<Vec<Fence>> {
        let inspect = |lane, leases: Vec<_>| async move {
            fence::inspect(&self.background, lane, &leases).await
        };
        Ok(lane_by_lane(keys, |lease| *lease, inspect).await?)
    }

    /// Ends a campaign in every lane: no lease of it is installed from now on. After an error it may be ended in some, and asking again is harmless.
    pub async fn retire_campaign(&self, campaign: CampaignNumber) -> Result<()> {
        let retire = |lane| history::retire(&self.pool, lane, campaign);
        few_at_once(self.lanes.all().map(retire)).await?;
        Ok(())
    }

    /// Counts coupons and compares them with their leases. Runs in a task of its own: a caller that hangs up must not leave a connection in the middle of it.
    pub async fn count_coupons(
        &self,
        range: CouponRange,
        deadline: Instant,
    ) -> Result<CouponCount> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left.saturating_sub(COUNT_MARGIN);
        if limit.is_zero() {
            return Err(IssuanceError::OutOfTime);
        }
        Ok(fence::count(&self.background, &range, limit).await?)
    }
}

/// What `ask` answers of the leases of each lane, back in their order. It is asked once of each.
async fn lane_by_lane<L, T: Clone, Asking>(
    leases: Vec<(Lane, L)>,
    id: fn(&L) -> Uuid,
    ask: impl Fn(Lane, Vec<L>) -> Asking,
) -> sqlx::Result<Vec<T>>
where
    Asking: Future<Output = sqlx::Result<Vec<T>>>,
{
    let keys: Vec<_> = leases
        .iter()
        .map(|(lane, lease)| (*lane, id(lease)))
        .collect();
    let mut lanes = BTreeMap::<Lane, BTreeMap<Uuid, L>>::new();
    for (lane, lease) in leases {
        lanes.entry(lane).or_default().insert(id(&lease), lease);
    }
    let asked = lanes.into_iter().map(|(lane, leases)| {
        let keys: Vec<_> = leases.keys().map(|id| (lane, *id)).collect();
        let asking = ask(lane, leases.into_values().collect());
        async move { Ok(keys.into_iter().zip(asking.await?).collect::<Vec<_>>()) }
    });
    let answers: BTreeMap<_, _> = few_at_once(asked).await?.into_iter().flatten().collect();
    let answers = keys.iter().map(|key| answers.get(key).cloned());
    answers
        .collect::<Option<_>>()
        .ok_or(sqlx::Error::RowNotFound)
}

async fn few_at_once<T>(
    lanes: impl Iterator<Item: Future<Output = sqlx::Result<T>>>,
) -> sqlx::Result<Vec<T>> {
    let lanes = stream::iter(lanes).buffer_unordered(LANES_AT_ONCE);
    lanes.try_collect().await
}
