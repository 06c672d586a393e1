//! What callers were told, kept for the audit: some thirty bytes for each answer, so that a few million shoppers fit in memory.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

/// A coupon code as it was told.
pub type Code = [u8; 16];

/// A coupon somebody was told they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldCoupon {
    /// Which shopper, counted from 0.
    pub shopper: u32,
    /// Which of the shopper's requests, counted from 1.
    pub request: u8,
    /// The code.
    pub code: Code,
}

/// An order somebody was told is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldOrder {
    /// Which shopper, counted from 0.
    pub shopper: u32,
    /// The order.
    pub order_id: Uuid,
    /// The coupon it was placed with.
    pub code: Code,
    /// Whether it was told to be accepted, and not only durable.
    pub accepted: bool,
}

/// Every answer that a caller may rely on.
#[derive(Debug)]
pub struct Ledger {
    run: String,
    told: Mutex<Told>,
}

/// The answers so far.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// Every coupon named in an answer, replays included.
    pub coupons: Vec<ToldCoupon>,
    /// Every order named in an answer.
    pub orders: Vec<ToldOrder>,
    /// Answers that named no coupon code or order id that can be read.
    pub unreadable: u64,
}

impl Ledger {
    /// An empty ledger. `run` keeps this run's shoppers apart from those of other runs on the same data.
    pub fn new(run: impl Into<String>) -> Self {
        Self {
            run: run.into(),
            told: Mutex::default(),
        }
    }

    /// What the ids of this run's shoppers begin with.
    pub fn shopper_prefix(&self) -> String {
        format!("{}-", self.run)
    }

    /// The shopper's id as the services know it.
    pub fn shopper_id(&self, shopper: u32) -> String {
        format!("{}{shopper}", self.shopper_prefix())
    }

    /// The id of a claim request as the services know it.
    pub fn claim_request_id(request: u8) -> String {
        format!("claim-{request}")
    }

    /// Writes down a coupon.
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

    /// Writes down an order.
    pub fn order(&self, shopper: u32, order_id: &str, code: &str, accepted: bool) {
        self.change(
            |told| match (order_id.parse(), code.as_bytes().try_into()) {
                (Ok(order_id), Ok(code)) => told.orders.push(ToldOrder {
                    shopper,
                    order_id,
                    code,
                    accepted,
                }),
                _ => told.unreadable += 1,
            },
        );
    }

    /// Everything written down so far.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_readable_code_or_order_is_counted_and_not_lost() {
        let ledger = Ledger::new("run");
        ledger.coupon(1, 1, "0123456789ABCDEF");
        ledger.coupon(1, 1, "short");
        ledger.order(1, "not-a-uuid", "0123456789ABCDEF", true);
        let told = ledger.told();
        assert_eq!(
            (told.coupons.len(), told.orders.len(), told.unreadable),
            (1, 0, 2)
        );
    }
}
