//! Requests that come back when everything is over, as from a caller that was away.

use std::mem::take;

use futures_util::{StreamExt, stream};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    Scene,
    claims::{ClaimEnd, Manner},
    orders::Until,
    wishes::Wish,
};
use crate::{findings::Count, ledger::ClaimKey, tally::locked};

const AT_ONCE: usize = 32;
/// Of those who were told never, so many are asked again at most.
const NEVERS_ASKED_AGAIN: usize = 5_000;

/// What a shopper will send again.
#[derive(Debug, Clone)]
pub struct Late {
    /// The claim, which had a coupon.
    pub claim: ClaimKey,
    /// The orders that its coupon was to pay for.
    pub orders: Vec<Wish>,
}

/// Sends everything again; the ledger notes every answer that is not the first one.
pub async fn repeat_late(scene: &Scene) {
    let all = take(&mut *locked(&scene.late));
    let repeats = stream::iter(all).map(|late| async move {
        scene.tally.counts().late += 1;
        let random = &mut StdRng::seed_from_u64(scene.seed ^ u64::from(late.claim.shopper));
        let end = scene.claim(late.claim, Manner::Twice, random).await;
        if let ClaimEnd::Refused(reason) = end {
            let example = format!("{:?} had a coupon and is refused: {reason}", late.claim);
            scene.found(late.claim.campaign, Count::AcknowledgedNotKept, example);
        }
        for wish in late.orders {
            let gateway = usize::from(wish.key.place);
            scene.place(&wish, gateway, Until::Decided).await;
        }
    });
    repeats.buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Everybody who was told "never" sends the same claim again; who is served was told what was not
/// true.
pub async fn ask_again_after_never(scene: &Scene) {
    let all = take(&mut scene.ledger.told().nevers);
    let all = all.into_iter().take(NEVERS_ASKED_AGAIN);
    let repeats = stream::iter(all).map(|(claim, reason)| async move {
        scene.tally.counts().late += 1;
        let random = &mut StdRng::seed_from_u64(scene.seed ^ u64::from(claim.shopper));
        if let ClaimEnd::Coupon(_) = scene.claim(claim, Manner::Plain, random).await {
            let example = format!("{claim:?} was told {reason}, never, and has a coupon");
            scene.found(claim.campaign, Count::NeverButLater, example);
        }
    });
    repeats.buffer_unordered(AT_ONCE).collect::<()>().await;
}
