//! What callers were told, kept for the audit: some thirty bytes for each answer, so that a few million shoppers fit in memory.

mod never;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use crate::{audit::Finding, queue_wait::QueueWait};
pub use never::{AskedAgain, ToldNever};

pub type Code = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldCoupon {
    pub shopper: u32,
    pub request: u8,
    pub code: Code,
}

/// The most that somebody was told of an order, or did to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldStanding {
    Durable,
    Accepted,
    /// Its shopper asked to cancel it, and may have no answer.
    CancelAsked,
    Cancelled,
}

/// An order somebody was told is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldOrder {
    pub shopper: u32,
    pub order_id: Uuid,
    pub code: Code,
    pub standing: ToldStanding,
}

/// A coupon that was made for a claim, whether it had to wait or not. Moments are those of the replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldService {
    /// The claim joined the queue, or was served without one, no earlier than this.
    pub joined_after: Duration,
    pub told_at: Duration,
}

/// A claim that was told that there is nothing left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldSellOut {
    pub shopper: u32,
    pub request: u8,
    /// When the claim was sent, as a moment of the replay.
    pub asked_at: Duration,
}

/// Every answer that a caller may rely on.
#[derive(Debug)]
pub struct Ledger {
    run: String,
    told: Mutex<Told>,
}

#[derive(Debug, Default, Clone)]
pub struct Told {
    /// Every coupon named in an answer, replays included.
    pub coupons: Vec<ToldCoupon>,
    pub orders: Vec<ToldOrder>,
    /// Orders that the feed said were accepted.
    pub heard: HashSet<Uuid>,
    /// Answers that named no coupon code or order id that can be read.
    pub unreadable: i64,
    /// Whether refusals and places in the queue said all that they owe, and whether never was true.
    pub answers: Finding,
    /// Coupons that were looked at after a full store had refused the order.
    pub full_stores: Finding,
    /// Every place in the queue, once its wait is over.
    pub waits: Vec<QueueWait>,
    /// Every coupon that was made for a claim; those of earlier sends are left out.
    pub services: Vec<ToldService>,
    /// Every claim that was told that there is nothing left for it.
    pub sell_outs: Vec<ToldSellOut>,
    /// Some of those who were told never, to be asked for again.
    pub remembered: Vec<ToldNever>,
}

impl Ledger {
    /// An empty ledger. `run` keeps this run's shoppers apart from those of other runs on the same data.
    pub fn new(run: impl Into<String>) -> Self {
        let told = Told {
            answers: Finding::of([
                ("refusals", 0),
                ("wrong_refusals_without_a_reason", 0),
                ("wrong_refusals_without_both_languages", 0),
                ("wrong_refusals_that_contradict_themselves", 0),
                ("places_told", 0),
                ("wrong_places_without_both_languages", 0),
                ("wrong_places_that_are_incomplete", 0),
                (never::TOLD, 0),
                ("told_never_asked_again", 0),
                ("told_never_undecided_again", 0),
                ("wrong_never_but_later", 0),
            ]),
            full_stores: Finding::of([
                ("coupons_seen_after_a_full_store", 0),
                ("wrong_coupons_spoiled_by_a_full_store", 0),
            ]),
            ..Told::default()
        };
        Self {
            run: run.into(),
            told: Mutex::new(told),
        }
    }

    /// What the ids of this run's shoppers begin with.
    pub fn shopper_prefix(&self) -> String {
        format!("{}-", self.run)
    }

    pub fn shopper_id(&self, shopper: u32) -> String {
        format!("{}{shopper}", self.shopper_prefix())
    }

    pub fn claim_request_id(request: u8) -> String {
        format!("claim-{request}")
    }

    pub fn coupon(&self, shopper: u32, request: u8, code: &str) {
        self.change(|told| match code.as_bytes().try_into() {
            Ok(code) => told.coupons.push(ToldCoupon {
                shopper,
                request,
                code,
            }),
            Err(_) => told.unreadable += 1,
        });
    }

    pub fn order(&self, shopper: u32, order_id: &str, code: &str, standing: ToldStanding) {
        self.change(
            |told| match (order_id.parse(), code.as_bytes().try_into()) {
                (Ok(order_id), Ok(code)) => told.orders.push(ToldOrder {
                    shopper,
                    order_id,
                    code,
                    standing,
                }),
                _ => told.unreadable += 1,
            },
        );
    }

    /// Writes down that the feed said of an order that it is accepted.
    pub fn heard(&self, order_id: &str) {
        self.change(|told| match order_id.parse() {
            // At least once: the feed may tell of it again.
            Ok(order_id) => {
                told.heard.insert(order_id);
            }
            Err(_) => told.unreadable += 1,
        });
    }

    /// How many of these orders the feed has not told of yet.
    pub fn unheard(&self, orders: &[Uuid]) -> usize {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let unheard = |order: &&Uuid| !told.heard.contains(order);
        orders.iter().filter(unheard).count()
    }

    /// Looks at an answer that was no coupon and no order.
    pub fn answer(&self, counts: Finding) {
        self.change(|told| told.answers.absorb(counts));
    }

    pub fn queue_wait(&self, wait: QueueWait) {
        self.change(|told| told.waits.push(wait));
    }

    pub fn service(&self, service: ToldService) {
        self.change(|told| told.services.push(service));
    }

    pub fn sell_out(&self, sell_out: ToldSellOut) {
        self.change(|told| told.sell_outs.push(sell_out));
    }

    pub fn never(&self, told: ToldNever) {
        self.change(|all| all.tell_never(told));
    }

    pub fn asked_again(&self, outcome: AskedAgain) {
        self.answer(Finding::of([
            ("told_never_asked_again", 1),
            (
                "told_never_undecided_again",
                (outcome == AskedAgain::Undecided).into(),
            ),
            (
                "wrong_never_but_later",
                (outcome == AskedAgain::Served).into(),
            ),
        ]));
    }

    pub fn coupon_left(&self, usable: bool) {
        let counts = Finding::of([
            ("coupons_seen_after_a_full_store", 1),
            ("wrong_coupons_spoiled_by_a_full_store", (!usable).into()),
        ]);
        self.change(|told| told.full_stores.absorb(counts));
    }

    pub fn told(&self) -> Told {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
