//! The gateways as shoppers see them: every send has a deadline, and is repeated as the answers say until there is one that is final.

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::Result;
use rand::Rng;
use tidegate_local::{
    credentials::{Scope, Token},
    stack::{Service, Stack},
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt;

use crate::{suite::TOKEN_LIFETIME, tally::Tally};

/// How long a shopper listens; sent along as the deadline.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// A paused gateway does not keep a deadline; so much later the shopper does.
const HANG_UP_AFTER: Duration = Duration::from_millis(300);
/// Between sends whose answer named no time.
pub const BACKOFF: Duration = Duration::from_millis(150);
/// However far an answer sends a shopper away, it comes back after this: rounds are short.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);
/// Refusals that pass although they name no time: a halt that nobody put an end to, a campaign that has not been heard of yet.
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

/// Refusals that are final although they name a time: the shopper goes to another store.
const FINAL: [&str; 1] = ["STORE_BUSY"];

/// All gateways, and the token that opens them.
#[derive(Debug, Clone)]
pub struct Door {
    gateways: Arc<RwLock<Vec<Channel>>>,
    authorization: MetadataValue<Ascii>,
    tally: Arc<Tally>,
}

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was refused for good.
    Refused(String),
    /// The shopper gave up: everything had healed long ago and there still was no final answer.
    Undecided,
}

/// What an answer says of sending again.
pub enum Advice {
    /// Never: the reason.
    Final(String),
    /// After so long.
    Again(Duration),
    /// There was no answer of the suite's.
    Unknown,
}

impl Door {
    /// A door of all gateways of a stack.
    ///
    /// # Errors
    /// The credentials cannot be read.
    pub fn new(stack: &Stack, tally: Arc<Tally>) -> Result<Self> {
        let gateways = stack
            .replicas()
            .iter()
            .filter(|replica| replica.service() == Service::Gateway)
            .map(|gateway| stack.channel(None, gateway.name()))
            .collect::<Result<Vec<_>>>()?;
        let token = stack.credentials().sign(&Token {
            lifetime: TOKEN_LIFETIME,
            ..Token::new("chatbot", &Scope::CHATBOT)
        })?;
        Ok(Self {
            gateways: Arc::new(RwLock::new(gateways)),
            authorization: format!("Bearer {token}").parse()?,
            tally,
        })
    }

    /// How many gateways there are.
    pub fn gateways(&self) -> usize {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.len()
    }

    /// From now on every send goes to one of these, of which there is at least one. Calls under way stay where they are.
    pub fn lead_to(&self, gateways: Vec<Channel>) {
        *self
            .gateways
            .write()
            .unwrap_or_else(PoisonError::into_inner) = gateways;
    }

    fn channel(&self, gateway: usize) -> Channel {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways[gateway % gateways.len()].clone()
    }

    /// Sends once, over one of the gateways, and listens for so long.
    ///
    /// # Errors
    /// The refusal, or the lack of an answer.
    pub async fn send<M, T, Sent>(
        &self,
        gateway: usize,
        message: M,
        limit: Duration,
        rpc: impl FnOnce(Channel, Request<M>) -> Sent,
    ) -> Result<T, Status>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let mut request = Request::new(message);
        request.set_timeout(limit);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        let channel = self.channel(gateway);
        let _under_way = self.tally.send();
        timeout(limit + HANG_UP_AFTER, rpc(channel, request))
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("the shopper hung up")))
    }

    /// Sends until an answer is final. At half the load every second call holds back until that is over. `begun` is told the moment of each send, `until` is when to give up.
    ///
    /// # Errors
    /// The final refusal, or none in time.
    pub async fn call<M: Clone, T, Sent>(
        &self,
        first_gateway: usize,
        message: &M,
        until: impl Fn() -> Option<Instant>,
        rpc: impl Fn(Channel, Request<M>) -> Sent,
    ) -> Result<(T, Instant), Failure>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let mut gateway = first_gateway;
        let holds_back = rand::rng().random();
        loop {
            while holds_back && self.tally.half_load.load(Relaxed) {
                sleep(BACKOFF).await;
            }
            let sent = Instant::now();
            let pause = match self.send(gateway, message.clone(), CALL_LIMIT, &rpc).await {
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

    /// What an answer without success says.
    pub fn advice(&self, status: &Status) -> Advice {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else {
            // A gateway names a reason; this is the connection's end, or the deadline's.
            self.tally.unknown.fetch_add(1, Relaxed);
            return Advice::Unknown;
        };
        self.tally.refused(&info.reason);
        let after = details.retry_info().and_then(|info| info.retry_delay);
        // Who is behind the stock is told that it will hardly reach that far, and not that it is gone: a stubborn shopper asks until it is, and sooner than it was told to.
        let detail = info.metadata.get("detail").map(String::as_str);
        let behind = detail == Some(BEHIND_STOCK);
        let passing = behind || PASSING.contains(&info.reason.as_str());
        let is_final = !behind && FINAL.contains(&info.reason.as_str());
        if !is_final && (status.code() == Code::Unavailable || passing) {
            Advice::Again(after.filter(|_| !behind).unwrap_or(BACKOFF))
        } else {
            Advice::Final(info.reason.clone())
        }
    }
}
