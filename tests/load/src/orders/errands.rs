//! What shoppers of a closed loop want.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tidegate_client::{Caller, framed};

use super::coupons::{CouponOwner, Wallet, accepted, claim, order};
use crate::{closed_loop::CAMPAIGN_ID, outcomes::End, suite::store_id};

/// How late an order to the full store may be made: all slots until then are soon full.
const FULL_STORE_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// Orders with a coupon, at stores with room.
    Order,
    Claim,
    /// Claims a coupon and orders with it.
    Pair,
    /// Orders at the one store that everybody wants.
    FullStore,
}

impl Display for Errand {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Order => "orders",
            Self::Claim => "claims",
            Self::Pair => "claims with their orders",
            Self::FullStore => "refusals of a full store",
        })
    }
}

/// What the shoppers of a round share.
#[derive(Clone)]
pub struct Errands {
    pub errand: Errand,
    pub caller: Arc<Caller>,
    pub wallet: Arc<Wallet>,
}

impl Errands {
    /// One errand's end; nothing if there is no coupon left for it.
    pub async fn run(self, place: u32, visit: u32) -> Option<End> {
        let somebody = format!("{:?}-{place}-{visit}", self.errand);
        let store = store_id(place.wrapping_mul(7_919).wrapping_add(visit));
        Some(match self.errand {
            Errand::Order => self.order(self.wallet.take()?, store).await,
            Errand::Claim => {
                claim(&self.caller, CAMPAIGN_ID, somebody).await;
                Ok(())
            }
            Errand::Pair => {
                let owner = claim(&self.caller, CAMPAIGN_ID, somebody).await;
                self.order(owner, store).await
            }
            Errand::FullStore => {
                let owner = self.wallet.take()?;
                let end = self.order_at_full_store(&owner, visit).await;
                self.wallet.put_back(owner);
                end
            }
        })
    }

    async fn order(&self, owner: CouponOwner, store: String) -> End {
        let body = framed(&order(&owner, store));
        accepted(self.caller.call(body).await)
    }

    async fn order_at_full_store(&self, owner: &CouponOwner, visit: u32) -> End {
        let mut message = order(owner, store_id(0));
        message.request_id = format!("order-{visit}");
        message.latest_acceptable_at = Some((SystemTime::now() + FULL_STORE_PATIENCE).into());
        let body = framed(&message);
        match accepted(self.caller.call(body).await) {
            Err(reason) if reason == "STORE_BUSY" => Ok(()),
            Ok(()) => Err("ACCEPTED".to_owned()),
            other => other,
        }
    }
}
