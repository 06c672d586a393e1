//! How a careful client calls: again as the answers say, at the next gateway if one is gone.

use std::time::Duration;

use rand::Rng;
use tidegate_client::{Asks, Sending, framed};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::Scene;
use crate::{
    answers,
    refusal::{Advice, Failure, advice},
};

const SEND_LIMIT: u32 = 10;
/// No call is retried when this has passed since it was due.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
/// Between sends of a call whose answer named no time: doubled each time, with chance.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LIMIT: Duration = Duration::from_secs(2);

impl Scene {
    /// Makes a call with one answer, as [`Scene::call`] does.
    pub(super) async fn ask<Asked: Asks + Clone>(
        &self,
        due: Instant,
        message: &Asked,
        traceparent: Option<&str>,
    ) -> Result<Asked::Answer, Failure> {
        let (caller, body) = (&self.door.caller, framed(message));
        let send = |sending| caller.call_at(sending, body.clone(), traceparent);
        self.call(due, send).await
    }

    /// Makes a call, again and again while the answers say that this makes sense. `due` is when it was to be sent first; `send`
    /// gets the turn of a connection, and how often the call was sent before.
    ///
    /// Every refusal is looked at for the audit, those that are tried again included.
    pub(super) async fn call<T, Sent>(
        &self,
        due: Instant,
        send: impl Fn(Sending) -> Sent,
    ) -> Result<T, Failure>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let mut turn = self.door.caller.next_turn();
        let mut backoff = BACKOFF_FIRST;
        for sent_before in 0.. {
            let room = self.door.room().await;
            let status = match send(Sending { turn, sent_before }).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            drop(room);
            self.ledger.answer(answers::refusal(&status));
            let (after, failure) = match advice(&status) {
                Advice::Final(failure) => return Err(failure),
                Advice::Again { after, failure } => (after, failure),
            };
            let spread = rand::rng().random_range(1.0..1.5);
            let pause = after.unwrap_or(backoff).mul_f64(spread);
            if sent_before + 1 >= SEND_LIMIT || due.elapsed() + pause > RETRY_LIMIT {
                return Err(failure);
            }
            turn += usize::from(failure == Failure::Unanswered);
            self.measures.retried();
            sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_LIMIT);
        }
        Err(Failure::Unanswered)
    }
}
