//! What staff do during a round: make stores, halt and resume a campaign.

use std::time::Duration;

use anyhow::{Context, Result};
use tidegate_client::{Staff, store_of};
use tidegate_proto::{
    order_intake::v1::Store,
    r#type::v1::{IssuanceControl, IssuanceState},
};
use tokio::time::{Instant, sleep};
use tonic::Status;

/// The store that has room for everybody.
pub const STORE_ID: &str = "store-1";
/// Stores that are full soon.
pub const SMALL_STORES: u32 = 8;
/// How long staff wait for one answer.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);
const ORDERS_PER_SLOT: u32 = 10_000;
const ORDERS_PER_SMALL_SLOT: u32 = 2;
const SMALL_SLOT_MINUTES: u32 = 1;
const AGAIN: Duration = Duration::from_millis(100);

/// Makes the big store and the small ones.
pub async fn make_stores(staff: &Staff) -> Result<()> {
    let mut stores = vec![store_of(STORE_ID, ORDERS_PER_SLOT)];
    stores.extend((0..SMALL_STORES).map(|number| Store {
        slot_minutes: Some(SMALL_SLOT_MINUTES),
        ..store_of(small_store_id(number), ORDERS_PER_SMALL_SLOT)
    }));
    let made = staff.put_stores(stores).await;
    made.context("order-intake did not make the stores")?;
    Ok(())
}

/// The id of a small store, counted from 0.
pub fn small_store_id(number: u32) -> String {
    format!("small-{}", number + 1)
}

/// Wants issuing to be halted or open, and asks until that is acknowledged; none if it is not at
/// `until`.
pub async fn control(
    staff: &Staff,
    campaign_id: &str,
    issuance: IssuanceControl,
    until: impl Fn() -> Option<Instant>,
) -> Option<()> {
    let wanted = match issuance {
        IssuanceControl::Halted => IssuanceState::Halted,
        _ => IssuanceState::Open,
    };
    while until().is_none_or(|until| Instant::now() < until) {
        if control_once(staff, campaign_id, issuance).await.ok() == Some(wanted) {
            return Some(());
        }
        sleep(AGAIN).await;
    }
    None
}

async fn control_once(
    staff: &Staff,
    campaign_id: &str,
    issuance: IssuanceControl,
) -> Result<IssuanceState, Status> {
    let mut control = staff.read(campaign_id).await?.control.unwrap_or_default();
    if control.issuance() != issuance {
        control = staff.issuing(campaign_id, issuance).await?;
    }
    Ok(control.issuance_state())
}
