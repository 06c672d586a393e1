//! An outage does not outlive its cause: stalls of the database, and tasks that die.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use tidegate_client::{CampaignTerms, eventually};
use tidegate_e2e::Suite;
use tidegate_local::{
    postgres::{Database, Stalled},
    stack::Service,
};
use tokio::time::{Instant, sleep, timeout};

/// Just below the time after which a commit counts as lost.
const STALL: Duration = Duration::from_millis(9_000);
const CALLERS_DURING_A_STALL: usize = 64;
const PATIENT: Duration = Duration::from_secs(10);
/// What callers wait for an answer once the stall is over.
const DEADLINES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// Where a test build reads which of its fail points do what; each task has one of its name.
const FAIL_POINTS_VARIABLE: &str = "FAILPOINTS";
const LOG_VARIABLE: &str = "TIDEGATE_LOG";
/// The exit code of a process that lost a task that it lives by.
const TASK_ENDED: i32 = 3;
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Claims as a new shopper again and again until one claim is served at once.
async fn is_served(suite: &Suite, name: &str, deadline: Duration) -> Result<()> {
    let (began, mut last) = (Instant::now(), String::new());
    for number in 0.. {
        ensure!(
            began.elapsed() < SERVED_WITHIN,
            "nobody with a deadline of {deadline:?} was served within {SERVED_WITHIN:?}: {last}"
        );
        let shopper = format!("{name}-{number}");
        match suite.within(deadline).claim("tea", &shopper, "r-1").await {
            Ok(_) => return Ok(()),
            Err(status) => last = status.to_string(),
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_with_short_deadlines_are_served_again_once_the_database_goes_on() -> Result<()> {
    let suite = Suite::start().await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    is_served(&suite, "before", DEADLINES[0]).await?;
    for stall in 0..2 {
        let crowd = (0..CALLERS_DURING_A_STALL).map(|number| {
            let patient = suite.within(PATIENT);
            async move {
                let shopper = format!("during-{stall}-{number}");
                patient.claim("tea", &shopper, "r-1").await
            }
        });
        let stalled = Stalled::Backends(Database::Issuance);
        let (stalled, _) = tokio::join!(
            suite.stack.postgres().stall(stalled, STALL),
            futures_util::future::join_all(crowd)
        );
        stalled?;
        for deadline in DEADLINES {
            is_served(&suite, &format!("after-{stall}-{deadline:?}"), deadline).await?;
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
        for service in Service::START_ORDER {
            let filter = Some("info,tidegate_runtime=debug".to_owned());
            let variable = (service, LOG_VARIABLE.to_owned(), filter);
            options.variables.push(variable);
        }
    })
    .await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    for service in Service::START_ORDER {
        let replica = format!("{}-0", service.name());
        let log = suite.stack.replica(&replica)?.log().to_owned();
        let kinds = kinds_of_tasks(&log)?;
        ensure!(kinds.len() >= 4, "{replica} has the tasks {kinds:?}");
        for task in kinds {
            suite.stack.terminate(&replica).await?;
            let point = format!("{task}=panic");
            let set = |suite: &mut Suite, points| {
                suite
                    .stack
                    .set_variable(&replica, FAIL_POINTS_VARIABLE, points)
            };
            set(&mut suite, Some(&*point))?;
            suite.stack.start_replica(&replica)?;
            let status = timeout(ENDS_WITHIN, suite.stack.wait_for_exit(&replica))
                .await
                .with_context(|| format!("{replica} goes on without \"{task}\": build the services with the feature `mutations`, as tests/run does"))??;
            set(&mut suite, None)?;
            assert_eq!(
                status.code(),
                Some(TASK_ENDED),
                "{replica} without \"{task}\""
            );
            let log = fs::read_to_string(&log)?;
            let mut last_lines = log.lines().rev().take(5);
            let says_which = last_lines.any(|line| line.contains(&format!("the task \"{task}\"")));
            assert!(says_which, "{replica} does not name \"{task}\" at its end");
            suite.stack.restart(&replica).await?;
            let shopper = format!("{replica}-{task}").replace(' ', "-");
            eventually(SERVED_WITHIN, || suite.claim("tea", &shopper, "r-1")).await?;
        }
    }
    suite.end().await
}
