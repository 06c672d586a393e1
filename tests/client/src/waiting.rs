use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::time::sleep;

/// Whatever has to come to pass does so within this time, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Tries until it works; the last error if it does not work in time.
pub async fn eventually<T, E>(
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < limit => sleep(POLL).await,
            outcome => return outcome,
        }
    }
}

pub async fn soon<T, E>(attempt: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    eventually(SOON, attempt).await
}

/// Asks until the answer is the expected one.
pub async fn becomes<T: Debug + PartialEq>(
    expected: T,
    mut ask: impl AsyncFnMut() -> Result<T>,
) -> Result<()> {
    soon(async || {
        let now = ask().await?;
        ensure!(now == expected, "it is {now:?} and not {expected:?}");
        Ok(())
    })
    .await
}
