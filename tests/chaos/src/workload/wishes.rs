//! What an order asks for. It is kept as a whole: sent again, an order has to be the same to the
//! last field.

use std::time::{Duration, SystemTime};

use rand::{Rng, rngs::StdRng};
use tidegate_client::order_of;
use tidegate_proto::gateway::v1::PlaceOrderRequest;

use crate::{
    ledger::{ClaimKey, OrderKey},
    staff::{SMALL_STORES, STORE_ID, small_store_id},
};

/// How long shoppers wait for a small store: a few of its slots.
const WAITS_FOR_SMALL_STORE: Duration = Duration::from_secs(3 * 60);

#[derive(Debug, Clone)]
pub struct Wish {
    pub key: OrderKey,
    code: String,
    store_id: String,
    latest: Option<SystemTime>,
}

impl Wish {
    /// An order at the big store, at any time.
    pub fn at_big_store(claim: ClaimKey, place: u8, code: &str) -> Self {
        Self {
            key: OrderKey { claim, place },
            code: code.to_owned(),
            store_id: STORE_ID.to_owned(),
            latest: None,
        }
    }

    /// An order at one of the small stores, within minutes.
    pub fn at_small_store(claim: ClaimKey, place: u8, code: &str, random: &mut StdRng) -> Self {
        Self {
            key: OrderKey { claim, place },
            code: code.to_owned(),
            store_id: small_store_id(random.random_range(0..SMALL_STORES)),
            latest: Some(SystemTime::now() + WAITS_FOR_SMALL_STORE),
        }
    }

    /// The same message for every copy.
    pub fn message(&self) -> PlaceOrderRequest {
        let shopper_id = self.key.claim.shopper_id();
        PlaceOrderRequest {
            store_id: self.store_id.clone(),
            latest_acceptable_at: self.latest.map(Into::into),
            suggest_stores: self.latest.is_some(),
            ..order_of(&shopper_id, &self.key.request_id(), &self.code)
        }
    }
}
