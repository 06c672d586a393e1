use tidegate_telemetry::FutureExt as _;
use tokio_util::task::TaskTracker;

/// Work that goes on when its caller hangs up: a cancelled call must not cancel a commit. It stays a
/// part of its caller's story. Cheap to clone.
#[derive(Clone, Default)]
pub struct DetachedWork(TaskTracker);

/// What came of the work is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WorkLost {
    #[error("the work panicked")]
    Panicked,
    /// The process is ending under it.
    #[error("the work was cut off")]
    CutOff,
}

impl DetachedWork {
    /// Runs the work in a task of its own, and waits for what comes of it.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, WorkLost> {
        let ended = self.0.spawn(work.with_current_context()).await;
        ended.map_err(|error| match error.is_panic() {
            true => WorkLost::Panicked,
            false => WorkLost::CutOff,
        })
    }

    /// Starts work for which nobody waits here.
    pub fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        // On the heap, or all of it would be copied at each step on its way into the task.
        self.0.spawn(Box::pin(work).with_current_context());
    }

    /// Waits until all of it has ended, once no more of it is begun.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_when_its_caller_hangs_up_and_is_waited_for_at_the_end() {
        let (work, done) = (DetachedWork::default(), Arc::new(AtomicBool::new(false)));
        let second = Duration::from_secs(1);
        let running = work.run({
            let done = Arc::clone(&done);
            async move {
                sleep(2 * second).await;
                done.store(true, Ordering::Relaxed);
            }
        });
        assert!(timeout(second, running).await.is_err(), "it hung up");
        assert!(!done.load(Ordering::Relaxed));
        work.finished().await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn work_that_panics_is_lost_and_ends_nothing_else() {
        let work = DetachedWork::default();
        let lost = work.run(async { panic!("on purpose") }).await;
        assert_eq!(lost, Err::<(), _>(WorkLost::Panicked));
        assert_eq!(work.run(async { 7 }).await, Ok(7));
    }
}
