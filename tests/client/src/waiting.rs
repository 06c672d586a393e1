use std::time::{Duration, Instant};

use tokio::time::sleep;

const POLL: Duration = Duration::from_millis(50);

/// Tries until it works; the last error if it does not work in time.
pub async fn eventually<T, E, Trying>(
    limit: Duration,
    mut attempt: impl FnMut() -> Trying,
) -> Result<T, E>
where
    Trying: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < limit => sleep(POLL).await,
            outcome => return outcome,
        }
    }
}
