use std::sync::Arc;

use sqlx::PgPool;
use tidegate_rpc::client::LaneBatches;
use tidegate_types::{Lanes, PerLane};
use tokio::sync::Semaphore;

use crate::{
    campaigns::Campaigns, coupon_keys::CouponKeys, coupon_looks::LookCall, lane_work::Queues,
    leases::LaneStock, metrics::IssuanceMetrics,
};

/// What the calls that a replica answers do their work with.
pub struct Replica {
    pub keys: Arc<CouponKeys>,
    pub campaigns: Campaigns,
    pub lanes: Lanes,
    pub queues: Queues,
    pub looks: LaneBatches<LookCall>,
    pub stocks: Arc<PerLane<Arc<LaneStock>>>,
    pub metrics: IssuanceMetrics,
    /// Connections for reads and leases; the lanes' writers have their own, so that claims go on.
    pub pool: PgPool,
    /// Connections for audits, for what is over, for what tries many coupons, and for what staff look
    /// back at: however much of that there is, it takes no connection from seals, installations and
    /// look-ups.
    pub background: PgPool,
    /// A place for each search for a code without its shopper.
    pub searches: Semaphore,
    /// A place for each stream of shoppers.
    pub shopper_streams: Arc<Semaphore>,
    /// A place for each stream of grants.
    pub grant_streams: Arc<Semaphore>,
}
