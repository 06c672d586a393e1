//! The gateways as shoppers see them: every send has a deadline, and is repeated as the answers say
//! until there is one that is final.

use std::{
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::Result;
use rand::Rng;
use tidegate_client::{Gateway, Refusal};
use tidegate_local::stack::Stack;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::tally::{Tally, locked};

/// How long a shopper listens; sent along as the deadline.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// A paused gateway does not keep a deadline; so much later the shopper does.
const HANG_UP_AFTER: Duration = Duration::from_millis(300);
/// Between sends whose answer named no time.
pub const BACKOFF: Duration = Duration::from_millis(150);
/// However far an answer sends a shopper away, it comes back after this: rounds are short.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);
/// Refusals that pass although they name no time, or a long one.
const PASSING: [&str; 6] = [
    "ISSUANCE_HALTED",
    "REDEMPTION_HALTED",
    "CAMPAIGN_NOT_FOUND",
    // UNAVAILABLE only while they last no longer than seconds.
    "OVERLOADED",
    "QUEUE_FULL",
    "STOCK_RETURNING",
];
/// The detail of a BUDGET_EXHAUSTED that is told before everything is gone.
const BEHIND_STOCK: &str = "queue_is_longer_than_stock";
/// Final although it names a time: the shopper goes to another store.
const FINAL: &str = "STORE_BUSY";

#[derive(Debug)]
pub struct Door {
    gateways: Mutex<Vec<Gateway>>,
    tally: Arc<Tally>,
}

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Refused(String),
    /// The shopper gave up: everything had healed long ago and there still was no final answer.
    Undecided,
}

/// What an answer says of sending again.
pub enum Advice {
    Final(String),
    Again(Duration),
    Unknown,
}

impl Door {
    pub fn new(stack: &Stack, tally: Arc<Tally>) -> Result<Self> {
        Ok(Self {
            gateways: Mutex::new(Gateway::all(stack)?),
            tally,
        })
    }

    pub fn gateways(&self) -> usize {
        locked(&self.gateways).len()
    }

    /// From now on every send goes to one of these, of which there is at least one. Calls under way
    /// stay where they are.
    pub fn lead_to(&self, gateways: Vec<Gateway>) {
        *locked(&self.gateways) = gateways;
    }

    fn gateway(&self, number: usize) -> Gateway {
        let gateways = locked(&self.gateways);
        gateways[number % gateways.len()].clone()
    }

    /// Sends once, over one of the gateways, and listens for so long.
    pub async fn send<T, Sent: Future<Output = Result<T, Status>>>(
        &self,
        gateway: usize,
        limit: Duration,
        rpc: impl FnOnce(Gateway) -> Sent,
    ) -> Result<T, Status> {
        let gateway = self.gateway(gateway).within(limit);
        let _under_way = self.tally.send();
        timeout(limit + HANG_UP_AFTER, rpc(gateway))
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("the shopper hung up")))
    }

    /// Sends until an answer is final, and tells when that was sent. At half the load every second
    /// call holds back until that is over. `until` is when to give up.
    pub async fn call<T, Sent: Future<Output = Result<T, Status>>>(
        &self,
        first_gateway: usize,
        until: impl Fn() -> Option<Instant>,
        rpc: impl Fn(Gateway) -> Sent,
    ) -> Result<(T, Instant), Failure> {
        let mut gateway = first_gateway;
        let holds_back = rand::rng().random();
        loop {
            while holds_back && self.tally.half_load.load(Relaxed) {
                sleep(BACKOFF).await;
            }
            let sent = Instant::now();
            let pause = match self.send(gateway, CALL_LIMIT, &rpc).await {
                Ok(answer) => return Ok((answer, sent)),
                Err(status) => match self.advice(&status) {
                    Advice::Final(reason) => return Err(Failure::Refused(reason)),
                    Advice::Again(pause) => pause.min(BACKOFF_LIMIT),
                    Advice::Unknown => {
                        gateway += 1;
                        BACKOFF
                    }
                },
            };
            if until().is_some_and(|until| Instant::now() > until) {
                return Err(Failure::Undecided);
            }
            let jitter = rand::rng().random_range(1.0..1.5);
            sleep(pause.mul_f64(jitter)).await;
        }
    }

    pub fn advice(&self, status: &Status) -> Advice {
        let Some(refusal) = Refusal::read(status) else {
            self.tally.counts().unknown += 1;
            return Advice::Unknown;
        };
        self.tally.refused(&refusal.reason);
        // Who is behind the stock is told that it will hardly reach that far, and not that it is
        // gone: a stubborn shopper asks until it is, and sooner than it was told to.
        let detail = refusal.metadata.get("detail").map(String::as_str);
        let behind = detail == Some(BEHIND_STOCK);
        let passing = behind || PASSING.contains(&&*refusal.reason);
        let is_final = !behind && refusal.reason == FINAL;
        if !is_final && (refusal.code == Code::Unavailable || passing) {
            let after = refusal.retry_after.filter(|_| !behind);
            Advice::Again(after.unwrap_or(BACKOFF))
        } else {
            Advice::Final(refusal.reason)
        }
    }
}
