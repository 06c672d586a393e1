//! When all is over: demand for more than there is, since whatever stock the faults left anywhere has
//! to come back and be given out; and requests that come back, as from a caller that was away.

use std::{mem::take, time::Duration};

use anyhow::Result;
use futures_util::{StreamExt, future::join_all, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Crowd, Scene,
    claims::Manner,
    orders::{Until, Wish},
};
use crate::{door::Failure, findings::Count, ledger::ClaimKey, tally::locked};

const SHOPPERS_AT_ONCE: u64 = 16;

/// Waits until the last of a crowd has left. Then what is left is sold out, if that is wanted,
/// everybody comes back, and so do those who were told "never".
pub async fn see_out(
    scene: &Scene,
    crowd: Crowd,
    patience: Duration,
    is_sold_out: bool,
    say: impl Fn(&str),
) -> Result<()> {
    scene.give_up_after(patience);
    crowd.leave().await?;
    if is_sold_out {
        say("selling out what is left");
        scene.give_up_after(patience);
        sell_out(scene).await;
    }
    say("sending old requests again");
    scene.give_up_after(patience);
    repeat_late(scene).await;
    if is_sold_out {
        ask_again_after_never(scene).await;
    }
    Ok(())
}

/// New shoppers claim of every campaign that has begun until they are told that nothing is left.
async fn sell_out(scene: &Scene) {
    let campaigns = scene.begun().map(|(campaign, _)| campaign);
    let shoppers = campaigns
        .flat_map(|campaign| (0..SHOPPERS_AT_ONCE).map(move |shopper| (campaign, shopper)));
    join_all(shoppers.map(|(campaign, number)| {
        let random = StdRng::seed_from_u64(scene.seed ^ (number << 8) ^ campaign as u64);
        claim_until_the_end(scene, campaign, random)
    }))
    .await;
}

async fn claim_until_the_end(scene: &Scene, campaign: usize, mut random: StdRng) {
    for _ in 0..=scene.campaigns[campaign].stock() {
        let claim = ClaimKey {
            campaign,
            shopper: scene.next_shopper(campaign),
            request: random.random_range(1..9),
        };
        let of_any_tier = scene.claim_request(claim).tier_id.is_empty();
        match scene.claim(claim, Manner::Plain, &mut random).await {
            Ok(_) => (),
            Err(Failure::Refused(_)) if !of_any_tier => (),
            Err(_) => return,
        }
    }
}

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
async fn repeat_late(scene: &Scene) {
    let all = take(&mut *locked(&scene.late));
    let repeats = stream::iter(all).map(|late| async move {
        scene.tally.counts().late += 1;
        let random = &mut StdRng::seed_from_u64(scene.seed ^ u64::from(late.claim.shopper));
        let end = scene.claim(late.claim, Manner::Twice, random).await;
        if let Err(Failure::Refused(reason)) = end {
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
async fn ask_again_after_never(scene: &Scene) {
    let all = take(&mut scene.ledger.told().nevers);
    let all = all.into_iter().take(NEVERS_ASKED_AGAIN);
    let repeats = stream::iter(all).map(|(claim, reason)| async move {
        scene.tally.counts().late += 1;
        let random = &mut StdRng::seed_from_u64(scene.seed ^ u64::from(claim.shopper));
        if scene.claim(claim, Manner::Plain, random).await.is_ok() {
            let example = format!("{claim:?} was told {reason}, never, and has a coupon");
            scene.found(claim.campaign, Count::NeverButLater, example);
        }
    });
    repeats.buffer_unordered(AT_ONCE).collect::<()>().await;
}
