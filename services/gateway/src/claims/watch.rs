use std::{
    mem::discriminant,
    time::{Duration, Instant},
};

use tidegate_rpc::{
    refusal::Waiting,
    server::{CallContext, DEFAULT_DEADLINE, FairPlace},
};
use tidegate_telemetry::FutureExt as _;
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Claim, Claims, Outcome};
use crate::{
    concurrency_limits::ShopperStreamPermit, error::GatewayError, waiting_room::QueuePosition,
};

/// A stream ends after this long; its caller goes on with the newest ticket.
const MAX_WATCH: Duration = Duration::from_secs(600);
/// Between two looks at what is known here of a claim that waits.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Positions told that a slow reader has not taken yet; those between are left out.
const MAX_UNREAD: usize = 2;

/// What becomes of a watched claim, in order.
pub type Outcomes = mpsc::Receiver<Result<Outcome, GatewayError>>;

/// A stream is one of those of this gateway and one of those of its shopper.
pub type StreamPermits = (FairPlace, ShopperStreamPermit);

/// A claim that waits while somebody watches.
struct Watch {
    claims: Claims,
    claim: Claim,
    call: CallContext,
    position: QueuePosition,
    told: Waiting,
    /// Held as long as the stream.
    _stream: StreamPermits,
}

impl Claims {
    /// Claims, and goes on telling the position until the claim is served or refused, the reader
    /// has gone, or `stop` is cancelled.
    pub async fn watch(
        &self,
        claim: Claim,
        call: CallContext,
        stream: StreamPermits,
        stop: CancellationToken,
    ) -> Result<Outcomes, GatewayError> {
        let outcome = self.claim(&claim, &call).await?;
        let (sender, outcomes) = mpsc::channel(MAX_UNREAD);
        let position = match &outcome {
            Outcome::Issued(_) => None,
            Outcome::Queued(position) => Some(position.clone()),
        };
        // The channel is new, so it takes one.
        let _ = sender.try_send(Ok(outcome));
        if let Some(position) = position {
            let watch = Watch {
                claims: self.clone(),
                claim,
                call,
                told: position.why,
                position,
                _stream: stream,
            };
            tokio::spawn(watch.run(sender, stop).with_current_context());
        }
        Ok(outcomes)
    }
}

impl Watch {
    async fn run(
        mut self,
        sender: mpsc::Sender<Result<Outcome, GatewayError>>,
        stop: CancellationToken,
    ) {
        let end = tokio::time::Instant::now() + MAX_WATCH;
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = stop.cancelled() => return,
                () = sleep_until(end) => return,
                () = self.wait_for_change() => {}
            }
            self.call.deadline = Instant::now() + DEFAULT_DEADLINE;
            let ticket = Some(self.position.ticket);
            match self.claims.decide(&self.claim, ticket, &self.call).await {
                Ok(Outcome::Queued(position)) => self.tell(position, &sender),
                last => return tell_last(last, &sender, end, &stop).await,
            }
        }
    }

    /// Waits until the claim may be served, or is over, or there may be another position to tell.
    /// That costs what an ask does, so it comes as seldom.
    async fn wait_for_change(&self) {
        let ticket = &self.position.ticket;
        let until = Instant::now() + self.position.ask_after;
        if self.claims.may_end(&self.claim, ticket) {
            // Its turn has come and found no permit, which it comes back for.
            return sleep_until(until.into()).await;
        }
        let mut held = self.claims.hold_stream(&self.claim, ticket, until);
        let called = async {
            match &mut held {
                Some(held) => held.called().await,
                // The shopper has another stream that is held.
                None => std::future::pending().await,
            }
        };
        let over = async {
            while !self.claims.may_end(&self.claim, ticket) {
                sleep(CHECK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = sleep_until(until.into()) => {}
            () = called => {}
            () = over => {}
        }
    }

    /// Tells a position that has changed. A reader that is behind is told a later one.
    fn tell(
        &mut self,
        position: QueuePosition,
        sender: &mpsc::Sender<Result<Outcome, GatewayError>>,
    ) {
        self.position = position;
        let has_changed = standing_of(self.told) != standing_of(self.position.why);
        if has_changed
            && sender
                .try_send(Ok(Outcome::Queued(self.position.clone())))
                .is_ok()
        {
            self.told = self.position.why;
        }
    }
}

/// Tells what the stream ends with. A reader that does not read keeps its stream no longer than any
/// other; the coupon is found by its request id.
async fn tell_last(
    last: Result<Outcome, GatewayError>,
    sender: &mpsc::Sender<Result<Outcome, GatewayError>>,
    end: tokio::time::Instant,
    stop: &CancellationToken,
) {
    tokio::select! {
        // An error means that nobody is there to read it.
        _ = sender.send(last) => {}
        () = stop.cancelled() => {}
        () = sleep_until(end) => {}
    }
}

/// What of a position is worth telling anew: estimates change with every look.
fn standing_of(why: Waiting) -> (std::mem::Discriminant<Waiting>, Option<u64>, bool) {
    let (position, is_estimated) = match why {
        Waiting::ForOthers { position, wait } => (Some(position), wait.is_some()),
        Waiting::ForStaff { position, .. } => (Some(position), false),
        Waiting::BehindStock { position } => (Some(position), false),
        Waiting::ForOpening { .. } | Waiting::ForServing | Waiting::ForStock => (None, false),
    };
    (discriminant(&why), position, is_estimated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells the end of a stream whose reader reads nothing, and waits until that is given up.
    async fn given_up_after(stop_after: Duration) -> Duration {
        let (sender, _unread) = mpsc::channel(1);
        sender.try_send(Err(GatewayError::SoldOut)).unwrap();
        let (stop, began) = (CancellationToken::new(), tokio::time::Instant::now());
        let stopping = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(stop_after).await;
            stopping.cancel();
        });
        let last = Err(GatewayError::SoldOut);
        tell_last(last, &sender, began + MAX_WATCH, &stop).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_the_end_keeps_no_place_for_ever() {
        let second = Duration::from_secs(1);
        assert!(given_up_after(10_000 * second).await <= MAX_WATCH + second);
        assert!(given_up_after(5 * second).await <= 6 * second);
    }
}
