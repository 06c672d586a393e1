//! Asks issuance whether codes are true for their shoppers, before a slot is booked: one call for
//! all that has gathered in a lane.
//!
//! Issuance tells by recomputing a code and asks no database, so this costs an order one hop among
//! many others. The keys stay with issuance: another service that had them would be one more place
//! where a key can be missing. If issuance does not answer at once, the order is placed all the same,
//! and the redemption decides. If the code's key is missing, the order is refused for now and books
//! nothing: a mistyped code may name such a key, and would hold a slot until its latest time.

use std::{
    iter,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::issuance::v1::{CodeOfShopper, VerifyCodesRequest, VerifyCodesResponse};
use tidegate_telemetry::TraceContext;
use tidegate_types::Lanes;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use crate::{
    domain::{Draft, Verdict},
    issuance::{Client, IssuanceOfLane},
};

const METHOD: &str = "VerifyCodes";
/// Codes that wait for the call in flight, in one lane. What is too many is not asked.
const MAX_WAITING: usize = 4_000;
/// Codes of one call; issuance takes up to 1,000.
const MAX_BATCH: usize = 500;
/// An order waits no longer than this to hear of its code, and no more than a share of the time it
/// has.
const VERIFY_TIMEOUT: Duration = Duration::from_millis(250);
const SHARE_OF_DEADLINE: u32 = 4;

struct Waiting {
    draft: Arc<Draft>,
    trace: TraceContext,
    deadline: Instant,
    reply: oneshot::Sender<Verdict>,
}

/// Hands codes to the gatherer of their lane. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    lanes: Lanes,
    /// One of each lane, by its number.
    gatherers: Arc<[mpsc::Sender<Waiting>]>,
}

impl Verifier {
    /// One gatherer a lane comes with it, which the caller runs.
    pub fn new(
        issuance: &[IssuanceOfLane],
        lanes: Lanes,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let start = |issuance: &IssuanceOfLane| {
            let (sender, arrivals) = mpsc::channel(MAX_WAITING);
            (sender, gather(arrivals, issuance.clone()))
        };
        let (gatherers, tasks): (Vec<_>, _) = issuance.iter().map(start).unzip();
        let verifier = Self {
            lanes,
            gatherers: gatherers.into(),
        };
        (verifier, tasks)
    }

    /// What can be told of the draft's code at once.
    pub async fn verify(
        &self,
        draft: &Arc<Draft>,
        trace: TraceContext,
        deadline: Instant,
    ) -> Verdict {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now) / SHARE_OF_DEADLINE;
        let deadline = now + left.min(VERIFY_TIMEOUT);
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            draft: Arc::clone(draft),
            trace,
            deadline,
            reply,
        };
        let lane = self.lanes.of(&draft.shopper);
        let taken = self
            .gatherers
            .get(usize::from(lane.get()))
            .is_some_and(|gatherer| gatherer.try_send(waiting).is_ok());
        if !taken {
            return Verdict::Unknown;
        }
        match timeout_at(deadline.into(), answer).await {
            Ok(Ok(verdict)) => verdict,
            // Late, or the process is ending.
            Ok(Err(_)) | Err(_) => Verdict::Unknown,
        }
    }
}

async fn gather(mut arrivals: mpsc::Receiver<Waiting>, mut issuance: IssuanceOfLane) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while arrivals.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let now = Instant::now();
        // Dropping the reply of one that is late answers it.
        waiting.retain(|waiting| waiting.deadline > now);
        let verdicts = verify(&mut issuance, &waiting).await;
        for (waiting, verdict) in waiting.drain(..).zip(verdicts) {
            // Whoever asked may have gone.
            let _ = waiting.reply.send(verdict);
        }
    }
}

/// One verdict for each, in their order; none if nothing is known.
async fn verify(issuance: &mut IssuanceOfLane, waiting: &[Waiting]) -> Vec<Verdict> {
    let Some(deadline) = waiting.iter().map(|waiting| waiting.deadline).max() else {
        return Vec::new();
    };
    let traces: Vec<_> = waiting.iter().map(|waiting| waiting.trace).collect();
    let message = |_| VerifyCodesRequest {
        items: waiting.iter().map(item).collect(),
    };
    let send = |mut client: Client, request| async move { client.verify_codes(request).await };
    let answer = issuance
        .call(METHOD, &traces, deadline, message, send)
        .await;
    let VerifyCodesResponse {
        is_true,
        key_is_missing,
    } = answer.unwrap_or_default();
    if is_true.is_empty() || !issuance.is_complete(METHOD, waiting.len(), is_true.len()) {
        return Vec::new();
    }
    // A replica of the version before tells of no missing keys.
    let missing = key_is_missing.into_iter().chain(iter::repeat(false));
    let verdict = |(is_true, key_is_missing)| match (is_true, key_is_missing) {
        (_, true) => Verdict::KeyMissing,
        (true, false) => Verdict::True,
        (false, false) => Verdict::False,
    };
    is_true.into_iter().zip(missing).map(verdict).collect()
}

fn item(waiting: &Waiting) -> CodeOfShopper {
    CodeOfShopper {
        shopper_id: waiting.draft.shopper.as_str().to_owned(),
        coupon_code: waiting.draft.coupon_code.reveal(),
    }
}
