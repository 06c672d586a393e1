//! Workers that look for what is left to do: again and again, and at once when they are woken.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::error::Result;

#[derive(Default)]
pub struct Sweeps {
    woken: Notify,
    done: watch::Sender<u64>,
}

impl Sweeps {
    /// Has a sweep begin now, or as soon as the one in progress is done.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// How many there have been, and each change of that.
    pub fn done(&self) -> watch::Receiver<u64> {
        self.done.subscribe()
    }

    /// Sweeps each time that it is woken, and this often anyway, until `stop`.
    pub async fn run<Sweep>(
        &self,
        every: Duration,
        stop: &CancellationToken,
        sweep: impl Fn() -> Sweep,
    ) where
        Sweep: Future<Output = Result<()>>,
    {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.woken.notified() => {}
                _ = ticks.tick() => {}
            }
            // A failed sweep is logged where the read failed, and the next one comes soon.
            if stop.run_until_cancelled(sweep()).await.is_none() {
                return;
            }
            self.done.send_modify(|sweeps| *sweeps += 1);
        }
    }
}
