//! A replica that is frozen in the middle of a transaction holds nobody up for long.

use std::time::Duration;

use sqlx::Executor as _;
use tidegate_pg::{Fault, fault};
use tokio::time::timeout;

use crate::giveaway::Giveaway;

/// What a transaction may idle for, and a margin for a busy machine.
const FREE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_transaction_that_is_left_open_loses_its_locks_and_commits_nothing() {
    let giveaway = Giveaway::start().await;
    let pool = &giveaway.pool;
    let mut frozen = pool.begin().await.unwrap();
    frozen.execute("LOCK TABLE campaigns").await.unwrap();
    let read = pool.execute("SELECT FROM campaigns");
    timeout(FREE_WITHIN, read).await.unwrap().unwrap();
    let error = frozen.commit().await.unwrap_err();
    assert_eq!(fault(&error), Fault::ConnectionLost, "{error}");
}
