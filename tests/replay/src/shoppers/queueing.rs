//! A claim on its way through the queue: asks again when it is told to, or as its shopper is wont to.

use std::time::Duration;

use tidegate_ctl::waterfall::WAIT;
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, IssuedClaim, LeaveQueueRequest, QueuedClaim, WatchClaimRequest,
    claim_coupon_response, claim_service_client::ClaimServiceClient, watch_claim_response,
};
use tokio::time::{Instant, sleep};

use super::{
    shopper::{Shopper, traceparent},
    waiting::Waiting,
};
use crate::{
    answers::{self, poll_after},
    collector::Span,
    crowd::habits::InQueue,
    ledger::{Ledger, ToldNever, ToldSellOut, ToldService},
    measures::ClaimEnd,
    queue_wait::Asked,
    refusal::{Advice, Failure, advice},
};

const BUDGET_EXHAUSTED: &str = "BUDGET_EXHAUSTED";
/// Nobody asks more often than this, whatever the answers say.
const ASKS_LIMIT: u32 = 1_000;
/// A shopper asks no sooner than this after an answer, even if the answer says so.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// How long somebody waits at most who will give the place up.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);
/// How often a bot claims without its ticket, and how long after the last answer: as often as a shopper may.
const STORM_CLAIMS: u32 = 20;
const STORM_PAUSE: Duration = Duration::from_millis(150);

pub(super) struct Claimed {
    pub(super) end: ClaimEnd,
    pub(super) code: Option<String>,
    pub(super) has_waited: bool,
}

struct Claiming<'a> {
    shopper: &'a Shopper,
    request: u8,
    span: Option<&'a Span>,
    /// The last question and its answer.
    first_sent_at: Duration,
    asked: Asked,
    waiting: Option<Waiting<'a>>,
    /// Whether it is sent with the newest ticket, if there is one.
    with_ticket: bool,
}

impl Shopper {
    /// Claims until there is a coupon or no sense in asking again. `due` is when the claim was to be sent first.
    pub(super) async fn claim_through_the_queue(
        &self,
        request: u8,
        due: Instant,
        first_sent_at: Duration,
        span: Option<&Span>,
    ) -> Claimed {
        let now = self.scene.now();
        let mut claiming = Claiming {
            shopper: self,
            request,
            first_sent_at,
            span,
            asked: Asked {
                at: now,
                told_at: now,
            },
            waiting: None,
            with_ticket: false,
        };
        let outcome = claiming.until_it_ends(due).await;
        claiming.ended(outcome)
    }
}

impl Claiming<'_> {
    async fn until_it_ends(&mut self, mut due: Instant) -> Result<IssuedClaim, ClaimEnd> {
        for number in 0..ASKS_LIMIT {
            let queued = match self.ask(due).await? {
                claim_coupon_response::Outcome::Issued(issued) => return Ok(issued),
                claim_coupon_response::Outcome::Queued(queued) => queued,
            };
            self.take_place(&queued);
            let pause = self.shopper.begin(WAIT, self.span);
            let coupon = self.wait(&queued, number).await;
            self.shopper.finish(pause, false);
            if let Some(issued) = coupon? {
                return Ok(issued);
            }
            due = Instant::now();
        }
        Err(ClaimEnd::Unanswered)
    }

    async fn ask(&mut self, due: Instant) -> Result<claim_coupon_response::Outcome, ClaimEnd> {
        let scene = &self.shopper.scene;
        let message = ClaimCouponRequest {
            ticket: self.ticket(),
            ..self.shopper.claim_request(self.request)
        };
        let traceparent = traceparent(self.span);
        let at = scene.now();
        let answer = scene.ask(due, &message, traceparent.as_deref()).await;
        self.asked = Asked {
            at,
            told_at: scene.now(),
        };
        let no_outcome = || ClaimEnd::Refused("NO_OUTCOME".to_owned());
        let answer = answer.map_err(|failure| self.failed(failure))?;
        answer.outcome.ok_or_else(no_outcome)
    }

    /// The end that a failure is. One that is said to be for good is remembered.
    fn failed(&self, failure: Failure) -> ClaimEnd {
        if let Failure::Never(_) = failure {
            self.shopper.scene.ledger.never(ToldNever::Claim {
                shopper: self.shopper.number,
                request: self.request,
            });
        }
        failure.into()
    }

    fn ticket(&self) -> String {
        let waiting = self.waiting.as_ref().filter(|_| self.with_ticket);
        waiting.map_or_else(String::new, |waiting| waiting.ticket().to_owned())
    }

    fn take_place(&mut self, queued: &QueuedClaim) {
        let scene = &self.shopper.scene;
        scene.ledger.answer(answers::queued(queued));
        let kind = self.shopper.in_queue;
        match &mut self.waiting {
            Some(waiting) => waiting.told_again(self.asked, queued, self.with_ticket),
            None => self.waiting = Some(Waiting::begin(scene, self.asked, queued, kind)),
        }
        self.with_ticket = true;
    }

    /// Spends the time until the next question, each in its own way; some have the coupon by then.
    async fn wait(
        &mut self,
        queued: &QueuedClaim,
        number: u32,
    ) -> Result<Option<IssuedClaim>, ClaimEnd> {
        let told = poll_after(queued).unwrap_or_default().max(SHORTEST_PAUSE);
        match self.shopper.in_queue {
            InQueue::NeverComesBack => return Err(ClaimEnd::NeverCameBack),
            InQueue::Leaves => {
                sleep(told.min(LEAVES_WITHIN) / 2).await;
                self.leave().await;
                return Err(ClaimEnd::Left);
            }
            InQueue::Storms if number < STORM_CLAIMS => {
                sleep(STORM_PAUSE).await;
                self.with_ticket = false;
            }
            InQueue::Watches => return self.watch().await,
            InQueue::Polls | InQueue::Storms => sleep(told).await,
        }
        Ok(None)
    }

    /// Follows the place over a stream; none if the stream ended before the wait did, and asking goes on.
    async fn watch(&mut self) -> Result<Option<IssuedClaim>, ClaimEnd> {
        let scene = &self.shopper.scene;
        let message = WatchClaimRequest {
            campaign_id: scene.campaign_id.clone(),
            shopper_id: self.shopper.id.clone(),
            request_id: Ledger::claim_request_id(self.request),
            tier_id: String::new(),
            ticket: self.ticket(),
        };
        let traceparent = traceparent(self.span);
        let send = |_| {
            let (gateway, traceparent) = (scene.door.next_of_streams(), traceparent.as_deref());
            let request = scene.door.stream_request(message.clone(), traceparent);
            async move { ClaimServiceClient::new(gateway).watch_claim(request).await }
        };
        let answer = scene.call(Instant::now(), send).await;
        let answer = answer.map_err(|failure| self.failed(failure))?;
        let mut pushes = answer.into_inner();
        let pause = loop {
            let push = match pushes.message().await {
                Ok(Some(push)) => push,
                Ok(None) => break SHORTEST_PAUSE,
                Err(status) => {
                    scene.ledger.answer(answers::refusal(&status));
                    match advice(&status) {
                        Advice::Final(failure) => return Err(self.failed(failure)),
                        Advice::Again { after, .. } => break after.unwrap_or(SHORTEST_PAUSE),
                    }
                }
            };
            // The moment at which a push was sent is not known: it counts as asked when it came.
            let now = scene.now();
            self.asked = Asked {
                at: now,
                told_at: now,
            };
            match push.outcome {
                Some(watch_claim_response::Outcome::Issued(issued)) => return Ok(Some(issued)),
                Some(watch_claim_response::Outcome::Queued(queued)) => self.take_place(&queued),
                None => {}
            }
        };
        sleep(pause).await;
        Ok(None)
    }

    async fn leave(&self) {
        let scene = &self.shopper.scene;
        let message = LeaveQueueRequest {
            campaign_id: scene.campaign_id.clone(),
            shopper_id: self.shopper.id.clone(),
            request_id: Ledger::claim_request_id(self.request),
            ticket: self.ticket(),
        };
        let left = scene.ask(Instant::now(), &message, None);
        // Who is gone does not ask whether it worked: a place that nobody comes to passes by itself.
        let _ = left.await;
    }

    /// Writes the end down: what was told, and how the wait ended if there was one.
    fn ended(self, outcome: Result<IssuedClaim, ClaimEnd>) -> Claimed {
        let (ledger, shopper) = (&self.shopper.scene.ledger, self.shopper.number);
        let code = outcome.as_ref().ok().map(|issued| {
            let coupon = issued.coupon.as_ref();
            coupon.map(|coupon| coupon.code.clone()).unwrap_or_default()
        });
        if let Some(code) = &code {
            ledger.coupon(shopper, self.request, code);
        }
        let end = match outcome {
            Ok(issued) if issued.replayed => ClaimEnd::Replayed,
            Ok(_) => ClaimEnd::Issued,
            Err(end) => end,
        };
        match &end {
            // A replay says nothing of the order: the coupon was made at some earlier time.
            ClaimEnd::Issued => ledger.service(self.service()),
            ClaimEnd::Refused(reason) if reason == BUDGET_EXHAUSTED => {
                ledger.sell_out(ToldSellOut {
                    shopper,
                    request: self.request,
                    asked_at: self.asked.at,
                });
            }
            _ => {}
        }
        let has_waited = self.waiting.is_some();
        if let Some(waiting) = self.waiting {
            waiting.end(&end);
        }
        Claimed {
            end,
            code,
            has_waited,
        }
    }

    /// When whoever has the coupon now joined, and when it was told.
    fn service(&self) -> ToldService {
        ToldService {
            // A claim that is sent again, with its ticket or without, has the place of its first send.
            joined_after: self.first_sent_at.max(self.shopper.scene.opening),
            told_at: self.shopper.scene.now(),
        }
    }
}
