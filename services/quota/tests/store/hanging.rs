//! A replica that is frozen in the middle of a transaction holds nobody up for long.

use std::time::Duration;

use sqlx::Executor as _;
use tidegate_pg::{Fault, fault};
use tokio::time::timeout;

use crate::database::TestDatabase;

const LOCK: &str = "LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE";
/// What a transaction may idle for, and a margin for a busy machine.
const FREE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_transaction_that_is_left_open_loses_its_locks_and_commits_nothing() {
    let database = TestDatabase::create().await;
    let mut frozen = database.pool.begin().await.unwrap();
    frozen.execute(LOCK).await.unwrap();
    let read = database.pool.execute("SELECT FROM campaigns");
    timeout(FREE_WITHIN, read).await.unwrap().unwrap();
    let error = frozen.commit().await.unwrap_err();
    assert_eq!(fault(&error), Fault::ConnectionLost, "{error}");
}
