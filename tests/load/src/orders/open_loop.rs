//! Orders that come at random moments with a given rate, whatever became of those before them.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tidegate_client::{Caller, framed};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::coupons::{Wallet, accepted, order};
use crate::{
    arguments::Timing,
    closed_loop::{Ends, Stretch},
    shoppers::arrivals::{self, Arrivals},
    suite::{STORES, store_id},
};

const SEED: u64 = 17;

/// Lets orders come; each is measured from when it was due.
pub async fn run<Seen>(
    caller: &Arc<Caller>,
    wallet: Wallet,
    per_second: f64,
    timing: Timing,
    threads: &Handle,
    look: impl AsyncFn() -> Result<Seen>,
) -> Result<Stretch<Seen>> {
    let begins = Instant::now();
    let stretch = arrivals::Stretch {
        length: timing.warm_up + timing.measured,
        per_second,
    };
    let placing = {
        let caller = Arc::clone(caller);
        threads.spawn(async move {
            let mut orders = JoinSet::new();
            for (number, at) in (0_u32..).zip(Arrivals::new(vec![stretch], SEED)) {
                let Some(owner) = wallet.take() else { break };
                let body = framed(&order(&owner, store_id(number % STORES)));
                let due = begins + at;
                sleep_until(due).await;
                let caller = Arc::clone(&caller);
                orders.spawn(async move {
                    let answer = caller.call(body).await;
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
    for (at, end, took) in orders {
        ends.add(end, took, at >= warm_up);
    }
    ends
}
