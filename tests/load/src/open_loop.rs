//! Errands that come at random moments, whatever became of those before them.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    outcomes::{End, Ends},
    shoppers::arrivals::Arrivals,
};

/// Lets errands come, each measured from when it was due, and counts those that are due after the
/// warm-up. An errand is made before it is due, and none once nothing is left for it.
pub async fn run<Errand>(
    threads: &Handle,
    begins: Instant,
    warm_up: Duration,
    arrivals: Arrivals,
    mut errand: impl FnMut(u32) -> Option<Errand> + Send + 'static,
) -> Result<Ends>
where
    Errand: Future<Output = End> + Send + 'static,
{
    let coming = async move {
        let mut errands = JoinSet::new();
        for (number, at) in (0..).zip(arrivals) {
            let Some(errand) = errand(number) else { break };
            let due = begins + at;
            sleep_until(due).await;
            errands.spawn(async move { (errand.await, due.elapsed(), at >= warm_up) });
        }
        errands.join_all().await
    };
    let mut ends = Ends::default();
    for (end, took, measured) in threads.spawn(coming).await? {
        ends.add(end, took, measured);
    }
    Ok(ends)
}
