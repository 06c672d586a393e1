//! Orders that coupons pay for: alone, twice at once, two that race for one coupon, some at stores
//! that are full soon, and some that their shoppers give up for others.

use std::time::{Duration, SystemTime};

use rand::{Rng, rngs::StdRng};
use tidegate_client::{Gateway, order_of};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    r#type::v1::{Order, OrderState},
};
use tokio::time::{Instant, sleep};

use super::{
    Scene,
    staff::{SMALL_STORES, small_store_id},
};
use crate::{
    door::Failure,
    findings::Count,
    ledger::{ClaimKey, OrderKey, ToldOrder, is_paid},
};

/// Of a hundred who order.
const WHO_TRY_SMALL_STORES: u32 = 15;
/// Of a hundred who order.
const WHO_CHANGE_THEIR_MINDS: u32 = 10;
/// Of a hundred who change their minds.
const WHO_DO_SO_AT_ONCE: u32 = 50;
/// Between two looks at an order that is still being decided.
const POLL: Duration = Duration::from_millis(400);
/// The place of the order at the big store, among those that one coupon is to pay for.
const FIRST: u8 = 1;
/// The place of the one that races with it.
const RIVAL: u8 = 2;
/// The place of the one at a small store.
const SMALL: u8 = 3;
/// The place of the one after a cancellation.
const AGAIN: u8 = 4;

/// How long shoppers wait for a small store: a few of its slots.
const WAITS_FOR_SMALL_STORE: Duration = Duration::from_secs(3 * 60);

/// An order that is wanted. Sent again, it has to be the same to the last field.
#[derive(Debug, Clone)]
pub struct Wish {
    pub key: OrderKey,
    pub message: PlaceOrderRequest,
}

impl Wish {
    /// An order at the big store, at any time.
    pub fn at_big_store(claim: ClaimKey, place: u8, code: &str) -> Self {
        let key = OrderKey { claim, place };
        let message = order_of(&claim.shopper_id(), &key.request_id(), code);
        Self { key, message }
    }

    /// An order at one of the small stores, within minutes.
    fn at_small_store(claim: ClaimKey, code: &str, random: &mut StdRng) -> Self {
        let mut wish = Self::at_big_store(claim, SMALL, code);
        let latest = SystemTime::now() + WAITS_FOR_SMALL_STORE;
        wish.message.store_id = small_store_id(random.random_range(0..SMALL_STORES));
        wish.message.latest_acceptable_at = Some(latest.into());
        wish.message.suggest_stores = true;
        wish
    }
}

/// How long a shopper attends to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until it is known to be placed.
    Placed,
    /// Until it is decided.
    Decided,
}

impl Scene {
    /// Orders with a coupon, in one way or another. Answers with all that was asked for.
    pub async fn order(&self, claim: ClaimKey, code: &str, random: &mut StdRng) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let gateway = random.random_range(0..self.door.gateways());
        let changes_mind = random.random_range(0..100) < WHO_CHANGE_THEIR_MINDS;
        let until = if changes_mind && random.random_range(0..100) < WHO_DO_SO_AT_ONCE {
            Until::Placed
        } else {
            Until::Decided
        };
        let mut is_placed = false;
        if random.random_range(0..100) < WHO_TRY_SMALL_STORES {
            let small = Wish::at_small_store(claim, code, random);
            is_placed = self.place(&small, gateway, until).await;
            wishes.push(small);
        }
        if !is_placed {
            let drawn = random.random_range(0..100);
            let at_big_store = self.order_at_big_store(claim, code, gateway, drawn, until);
            wishes.extend(at_big_store.await);
        }
        if changes_mind {
            wishes.extend(self.change_mind(&wishes, code, gateway).await);
        }
        wishes
    }

    async fn order_at_big_store(
        &self,
        claim: ClaimKey,
        code: &str,
        gateway: usize,
        drawn: u32,
        until: Until,
    ) -> Vec<Wish> {
        let first = Wish::at_big_store(claim, FIRST, code);
        match drawn {
            0..60 => {
                self.place(&first, gateway, until).await;
                vec![first]
            }
            60..80 => {
                self.tally.counts().duplicated += 1;
                tokio::join!(self.place(&first, 0, until), self.place(&first, 1, until));
                vec![first]
            }
            _ => {
                let rival = Wish::at_big_store(claim, RIVAL, code);
                tokio::join!(
                    self.place(&first, gateway, until),
                    self.place(&rival, gateway + 1, until)
                );
                vec![first, rival]
            }
        }
    }

    /// Places an order and perhaps waits until it is decided. Whether there is such an order.
    pub async fn place(&self, wish: &Wish, gateway: usize, until: Until) -> bool {
        let began = Instant::now();
        let place = |gateway: Gateway| async move { gateway.place(wish.message.clone()).await };
        match self.call(gateway, place).await {
            Ok((order, sent)) => {
                if until == Until::Placed {
                    self.told_order(wish.key, &order, sent);
                } else {
                    self.follow(wish.key, order, sent, gateway).await;
                }
                true
            }
            Err(Failure::Refused(reason)) => {
                let told = self.ledger.told().orders.get(&wish.key).cloned();
                if told.is_some_and(|order| order.held_before(began)) {
                    self.lost(wish.key, &reason);
                }
                false
            }
            Err(Failure::Undecided) => {
                self.undecided(wish.key);
                false
            }
        }
    }

    async fn follow(&self, key: OrderKey, mut order: Order, mut sent: Instant, gateway: usize) {
        loop {
            self.told_order(key, &order, sent);
            match order.state() {
                state if is_paid(state) => {
                    self.tally.counts().accepted += 1;
                    return;
                }
                OrderState::Pending | OrderState::Unspecified => sleep(POLL).await,
                _ => return,
            }
            if self.gives_up() {
                return self.undecided(key);
            }
            let order_now = &order;
            let read = |gateway: Gateway| async move { gateway.read(order_now).await };
            match self.call(gateway, read).await {
                Ok(now) => (order, sent) = now,
                Err(Failure::Refused(reason)) => return self.lost(key, &reason),
                Err(Failure::Undecided) => return self.undecided(key),
            }
        }
    }

    /// Notes how an answer says that an order stands.
    pub fn told_order(&self, key: OrderKey, order: &Order, sent: Instant) {
        let told = ToldOrder {
            order_id: order.order_id.clone(),
            accepted_since: is_paid(order.state()).then(Instant::now),
            cancelled_since: (order.state() == OrderState::Cancelled).then(Instant::now),
        };
        let campaign_id = self.campaign_id(key.claim.campaign);
        self.ledger.told().order(campaign_id, key, told, sent);
    }

    pub fn undecided(&self, key: OrderKey) {
        let example = format!("{key:?} has no answer");
        self.found(key.claim.campaign, Count::LeftUndecided, example);
    }

    fn lost(&self, key: OrderKey, reason: &str) {
        let example = format!("{key:?} was told, and now it is refused: {reason}");
        self.found(key.claim.campaign, Count::AcknowledgedNotKept, example);
    }

    /// Cancels the first of these orders that may stand, twice at one moment over both gateways,
    /// and orders again with its coupon. Answers with what was asked for then.
    pub async fn change_mind(&self, wishes: &[Wish], code: &str, gateway: usize) -> Option<Wish> {
        let (key, order_id) = wishes.iter().find_map(|wish| {
            let told = self.ledger.told();
            let order = told.orders.get(&wish.key)?;
            order
                .may_stand()
                .then(|| (wish.key, order.order_id.clone()))
        })?;
        self.ledger.told().cancels.insert(key);
        self.tally.counts().duplicated += 1;
        let (first, second) = tokio::join!(
            self.cancel(key, &order_id, gateway),
            self.cancel(key, &order_id, gateway + 1)
        );
        if !(first && second) {
            return None;
        }
        self.tally.counts().cancelled += 1;
        let again = Wish::at_big_store(key.claim, AGAIN, code);
        self.place(&again, gateway, Until::Decided).await;
        Some(again)
    }

    /// Whether the order is cancelled now. An order that was told to be accepted has to be: nobody
    /// but its shopper does anything with it.
    async fn cancel(&self, key: OrderKey, order_id: &str, gateway: usize) -> bool {
        let shopper_id = &key.claim.shopper_id();
        let cancel =
            |gateway: Gateway| async move { gateway.cancel_order(shopper_id, order_id).await };
        match self.call(gateway, cancel).await {
            Ok((order, sent)) => {
                self.told_order(key, &order, sent);
                if order.state() != OrderState::Cancelled {
                    let example = format!("{key:?} was cancelled, and is {:?}", order.state());
                    self.found(key.claim.campaign, Count::AcknowledgedNotKept, example);
                }
                order.state() == OrderState::Cancelled
            }
            Err(Failure::Refused(reason)) => {
                let told = self.ledger.told().orders.get(&key).cloned();
                let was_accepted = told.is_some_and(|order| order.accepted_since.is_some());
                if was_accepted || reason != "ORDER_STATE_CONFLICT" {
                    let example = format!("{key:?} stood, and to cancel it is refused: {reason}");
                    self.found(key.claim.campaign, Count::AcknowledgedNotKept, example);
                }
                false
            }
            Err(Failure::Undecided) => {
                self.undecided(key);
                false
            }
        }
    }
}
