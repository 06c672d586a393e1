//! How a careful client calls: again as the answers say, at the next gateway if one is gone.

use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status, transport::Channel};

use super::Scene;
use crate::refusal::{Advice, Failure, advice};

/// Sends of one call, the first included.
const SEND_LIMIT: u32 = 10;
/// No call is retried when this has passed since it was due.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
/// Between sends of a call whose answer named no time: doubled each time, with chance.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LIMIT: Duration = Duration::from_secs(2);

impl Scene {
    /// Makes a call that is due now, as [`Scene::call`] does.
    pub(super) async fn ask<Message: Clone, Answer, Sent>(
        &self,
        message: &Message,
        traceparent: Option<&str>,
        send: impl Fn(Channel, Request<Message>) -> Sent,
    ) -> Result<Answer, Failure>
    where
        Sent: Future<Output = Result<Response<Answer>, Status>>,
    {
        let send = |gateway| send(gateway, self.door.request(message.clone(), traceparent));
        let answer = self.call(Instant::now(), send).await?;
        Ok(answer.into_inner())
    }

    /// Makes a call, again and again while the answers say that this makes sense. `due` is when it was to be sent first.
    ///
    /// Every refusal is looked at for the audit, those that are tried again included.
    pub(super) async fn call<T, Sent>(
        &self,
        due: Instant,
        send: impl Fn(Channel) -> Sent,
    ) -> Result<T, Failure>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let mut turn = self.door.next_turn();
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1.. {
            let status = match self.door.send(turn, &send).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            self.ledger.answer(|answers| answers.refusal(&status));
            let (after, failure) = match advice(&status) {
                Advice::Final(failure) => return Err(failure),
                Advice::Again { after, failure } => (after, failure),
            };
            let spread = rand::rng().random_range(1.0..1.5);
            let pause = after.unwrap_or(backoff).mul_f64(spread);
            if attempt >= SEND_LIMIT || due.elapsed() + pause > RETRY_LIMIT {
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
