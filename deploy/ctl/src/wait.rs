//! Waiting for something, with progress on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use crate::failure::Failure;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks until `done` says so, and shows what it says meanwhile.
pub async fn until<T, Looking>(
    patience: Duration,
    mut look: impl FnMut() -> Looking,
    progress: impl Fn(&T) -> Option<String>,
) -> Result<T, Failure>
where
    Looking: Future<Output = Result<T, Failure>>,
{
    let began = Instant::now();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    loop {
        let seen = look().await?;
        let Some(still) = progress(&seen) else {
            bar.finish_and_clear();
            return Ok(seen);
        };
        if began.elapsed() >= patience {
            bar.finish_and_clear();
            return Err(Failure::NotInTime(format!(
                "after {} s: {still}",
                began.elapsed().as_secs()
            )));
        }
        bar.set_message(still);
        bar.tick();
        sleep(LOOK_EVERY).await;
    }
}
