//! Orders that come at random moments with a given rate, whatever became of those before them.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tidegate_local::replay::{campaign::store_id, schedule::STORES};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    closed_loop::{Ends, Stretch},
    coupons::{Wallet, accepted, order},
};
use crate::{
    arguments::Timing,
    caller::{Caller, Method, framed},
    crowd::Crowd,
    shoppers::arrivals::{self, Arrivals},
};

const SEED: u64 = 17;

/// Lets orders come; each is measured from when it was due.
pub async fn run<Seen>(
    caller: &Arc<Caller>,
    wallet: Wallet,
    per_second: f64,
    timing: Timing,
    crowd: &Crowd,
    look: impl AsyncFn() -> Result<Seen>,
) -> Result<Stretch<Seen>> {
    let begins = Instant::now();
    let stretch = arrivals::Stretch {
        length: timing.warm_up + timing.measured,
        per_second,
    };
    let placing = {
        let caller = Arc::clone(caller);
        crowd.threads().spawn(async move {
            let mut orders = JoinSet::new();
            for (number, at) in (0_u32..).zip(Arrivals::new(vec![stretch], SEED)) {
                let Some(owner) = wallet.take() else { break };
                let body = framed(&order(owner, store_id(number % STORES)));
                let due = begins + at;
                sleep_until(due).await;
                let caller = Arc::clone(&caller);
                orders.spawn(async move {
                    let answer = caller.call(Method::PlaceOrder, body).await;
                    (at, accepted(answer), due.elapsed())
                });
            }
            orders.join_all().await
        })
    };
    sleep_until(begins + timing.warm_up).await;
    let before = look().await?;
    let began = Instant::now();
    sleep_until(begins + stretch.length).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = look().await?;
    Ok(Stretch {
        seconds,
        ends: ends(placing.await?, timing.warm_up),
        before,
        after,
    })
}

fn ends(orders: Vec<(Duration, Result<(), String>, Duration)>, warm_up: Duration) -> Ends {
    let mut ends = Ends::default();
    for (_, end, took) in orders.into_iter().filter(|(at, ..)| *at >= warm_up) {
        match end {
            Ok(()) => ends.good.push(took),
            Err(reason) => ends.bad.push(reason),
        }
    }
    ends
}
