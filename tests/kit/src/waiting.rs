use std::time::{Duration, Instant};

use tokio::time::sleep;

/// A condition that is not met for so long never will be.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Looks until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "{what}: not in {PATIENCE:?}");
        sleep(POLL).await;
    }
}

/// Waits until a condition is met.
pub async fn until(what: &str, mut is_met: impl AsyncFnMut() -> bool) {
    eventually(what, async || is_met().await.then_some(())).await;
}
