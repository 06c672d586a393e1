//! An outage does not outlive its cause: stalls of the database, and tasks that die.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate_client::eventually;
use tidegate_e2e::Suite;
use tidegate_local::{postgres::Stalled, stack::Service};
use tokio::time::timeout;

/// Just below the time after which a commit counts as lost.
const STALL: Duration = Duration::from_millis(9_000);
const CALLERS_DURING_A_STALL: usize = 64;
const PATIENT: Duration = Duration::from_secs(10);
/// What callers wait for an answer once the stall is over, in milliseconds.
const DEADLINES_MS: [u64; 3] = [300, 1_000, 5_000];
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// Where a test build reads which of its fail points do what; each task has one of its name.
const FAIL_POINTS_VARIABLE: &str = "FAILPOINTS";
/// The exit code of a process that lost a task that it lives by.
const TASK_ENDED: i32 = 3;
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Claims as a new shopper again and again until one claim is served at once.
async fn is_served(suite: &Suite, name: &str, deadline_ms: u64) -> Result<()> {
    let hasty = suite.within(Duration::from_millis(deadline_ms));
    let mut shoppers = (0..).map(|number| format!("{name}-{deadline_ms}-{number}"));
    let served = eventually(SERVED_WITHIN, async || {
        let shopper = shoppers.next().unwrap_or_default();
        hasty.claim("tea", &shopper, "r-1").await
    });
    let in_vain = || format!("nobody with a deadline of {deadline_ms} ms was served in time");
    served.await.map(drop).with_context(in_vain)
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_with_short_deadlines_are_served_again_once_the_database_goes_on() -> Result<()> {
    let suite = Suite::start().await?;
    suite.open("tea", 10_000).await?;
    is_served(&suite, "before", DEADLINES_MS[0]).await?;
    for stall in 0..2 {
        let patient = suite.within(PATIENT);
        let crowd = (0..CALLERS_DURING_A_STALL).map(async |number| {
            let shopper = format!("during-{stall}-{number}");
            patient.claim("tea", &shopper, "r-1").await
        });
        let backends = Stalled::Backends(Service::Issuance);
        let stalled = suite.stack.postgres().stall(backends, STALL);
        tokio::join!(stalled, join_all(crowd)).0?;
        for deadline_ms in DEADLINES_MS {
            is_served(&suite, &format!("after-{stall}"), deadline_ms).await?;
        }
    }
    suite.end().await
}

/// The tasks that a process has started, as its log names them: one of each kind, since those of the
/// lanes are alike.
fn kinds_of_tasks(log: &Path) -> Result<BTreeSet<String>> {
    let log = fs::read_to_string(log)?;
    let tasks = log.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("task")?.as_str().map(str::to_owned)
    });
    Ok(tasks
        .filter(|task| {
            task.split_once(" of lane ")
                .is_none_or(|(_, lane)| lane == "0")
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_loses_a_task_says_which_and_ends_and_the_suite_comes_back() -> Result<()> {
    let mut suite = Suite::start_with(|options| {
        options.issuance_replicas = 1;
        options.gateway_replicas = 1;
        options.drain_ms = 500;
        options.log_filter = "info,tidegate_runtime=debug".into();
    })
    .await?;
    suite.open("tea", 10_000).await?;
    for service in Service::START_ORDER {
        let replica = format!("{}-0", service.name());
        let kinds = kinds_of_tasks(suite.stack.replica(&replica)?.log())?;
        ensure!(kinds.len() >= 4, "{replica} has the tasks {kinds:?}");
        for task in kinds {
            says_which_it_lost_and_ends(&mut suite, &replica, &task).await?;
            suite.stack.restart(&replica).await?;
            let shopper = format!("{replica}-{task}").replace(' ', "-");
            eventually(SERVED_WITHIN, || suite.claim("tea", &shopper, "r-1")).await?;
        }
    }
    suite.end().await
}

async fn says_which_it_lost_and_ends(suite: &mut Suite, replica: &str, task: &str) -> Result<()> {
    let stack = &mut suite.stack;
    stack.terminate(replica).await?;
    let point = format!("{task}=panic");
    stack.set_variable(replica, FAIL_POINTS_VARIABLE, Some(&point))?;
    stack.start_replica(replica)?;
    let status = timeout(ENDS_WITHIN, stack.wait_for_exit(replica)).await;
    let status = status.with_context(|| format!("{replica} goes on without \"{task}\": build the services with the feature `mutations`, as tests/run does"))??;
    stack.set_variable(replica, FAIL_POINTS_VARIABLE, None)?;
    assert_eq!(status.code(), Some(TASK_ENDED), "{replica}: {task}");
    let log = fs::read_to_string(stack.replica(replica)?.log())?;
    let mut last_lines = log.lines().rev().take(5);
    let says_which = last_lines.any(|line| line.contains(&format!("the task \"{task}\"")));
    assert!(says_which, "{replica} does not name \"{task}\" at its end");
    Ok(())
}
