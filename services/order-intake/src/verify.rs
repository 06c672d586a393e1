//! Asks issuance whether codes are true for their shoppers, before a slot is booked: one call for
//! all that has gathered in a lane.
//!
//! Issuance tells by recomputing a code and asks no database, so this costs an order one hop among
//! many others. The keys stay with issuance: another service that had them would be one more place
//! where a key can be missing. If issuance does not answer at once, the order is placed all the
//! same, and the redemption decides. If the code's key is missing, the order is refused for now and
//! books nothing: a mistyped code may name such a key, and would hold a slot until its latest time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::issuance::v1::{CodeOfShopper, VerifyCodesRequest, VerifyCodesResponse};
use tidegate_rpc::client::{BatchCall, LaneBatches, Pending, last_deadline};
use tidegate_types::{Lane, Lanes};

use crate::{
    domain::{Draft, Verdict},
    issuance::{Batch, Client, Issuance},
};

/// One call to issuance in flight a lane, so that batches grow with the load.
const CALLS_PER_LANE: usize = 1;
/// An order waits no longer than this to hear of its code, and no more than a share of the time it
/// has.
const VERIFY_TIMEOUT: Duration = Duration::from_millis(250);
const SHARE_OF_DEADLINE: u32 = 4;

#[derive(Clone)]
pub struct Verifier {
    lanes: Lanes,
    batches: LaneBatches<VerifyCall>,
}

impl Verifier {
    /// A gatherer a lane comes with it, which the caller runs.
    pub fn new(issuance: Issuance) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let lanes = issuance.lanes;
        let (batches, gatherers) = LaneBatches::new(lanes, &VerifyCall(issuance), CALLS_PER_LANE);
        (Self { lanes, batches }, gatherers)
    }

    /// What can be told of the draft's code at once.
    pub async fn verify(&self, draft: &Arc<Draft>, deadline: Instant) -> Verdict {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now) / SHARE_OF_DEADLINE;
        let code = Pending::new(Arc::clone(draft), now + left.min(VERIFY_TIMEOUT));
        let verdict = self.batches.submit(self.lanes.of(&draft.shopper), code);
        verdict.await.unwrap_or(Verdict::Unknown)
    }
}

#[derive(Clone)]
struct VerifyCall(Issuance);

impl BatchCall for VerifyCall {
    type Item = Arc<Draft>;
    type Answer = Verdict;
    const NAME: &'static str = "call VerifyCodes";

    async fn send(&self, lane: Lane, items: Arc<Vec<Pending<Arc<Draft>>>>) -> Vec<Verdict> {
        let batch = Batch {
            lane,
            method: "VerifyCodes",
            items: items.len(),
            deadline: last_deadline(&items),
            is_for_callers: true,
        };
        let message = || VerifyCodesRequest {
            items: items.iter().map(|pending| item(&pending.item)).collect(),
        };
        let send = |mut client: Client, request| async move { client.verify_codes(request).await };
        self.0.call(batch, message, send, verdicts).await
    }
}

fn item(draft: &Draft) -> CodeOfShopper {
    CodeOfShopper {
        shopper_id: draft.shopper.as_str().to_owned(),
        coupon_code: draft.coupon_code.reveal(),
    }
}

fn verdicts(answer: VerifyCodesResponse) -> Vec<Verdict> {
    let verdict = |(is_true, key_is_missing)| match (is_true, key_is_missing) {
        (_, true) => Verdict::KeyMissing,
        (true, false) => Verdict::True,
        (false, false) => Verdict::False,
    };
    answer
        .is_true
        .into_iter()
        .zip(answer.key_is_missing)
        .map(verdict)
        .collect()
}
