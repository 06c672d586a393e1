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
const TASK_FILES_VARIABLE: &str = "TIDEGATE_TASK_FILES";
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

/// The tasks of a process, by the files of their fault points.
fn tasks(folder: &Path) -> Result<BTreeSet<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// One task of each kind: those of the lanes are alike.
fn one_of_each_kind(tasks: BTreeSet<String>) -> Vec<String> {
    let kinds = tasks.into_iter().filter(|task| {
        task.split_once("-of-lane-")
            .is_none_or(|(_, lane)| lane == "0")
    });
    kinds.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_loses_a_task_says_which_and_ends_and_the_suite_comes_back() -> Result<()> {
    let options = Suite::options();
    let folder = options.data.join("tasks");
    let mut suite = Suite::start_with(|changed| {
        *changed = options;
        changed.issuance_replicas = 1;
        changed.gateway_replicas = 1;
        changed.drain_ms = 500;
        for service in Service::START_ORDER {
            let folder = folder.join(service.name());
            fs::create_dir_all(&folder).unwrap();
            let folder = Some(folder.display().to_string());
            let variable = (service, TASK_FILES_VARIABLE.to_owned(), folder);
            changed.variables.push(variable);
        }
    })
    .await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    for service in Service::START_ORDER {
        let replica = format!("{}-0", service.name());
        let folder = folder.join(service.name());
        let kinds = one_of_each_kind(tasks(&folder)?);
        ensure!(
            kinds.len() >= 4,
            "{replica} has the tasks {kinds:?}: build the services with the feature `mutations`, as tests/run does"
        );
        for task in kinds {
            fs::remove_file(folder.join(&task))?;
            let status = timeout(ENDS_WITHIN, suite.stack.wait_for_exit(&replica))
                .await
                .with_context(|| format!("{replica} goes on without \"{task}\""))??;
            assert_eq!(
                status.code(),
                Some(TASK_ENDED),
                "{replica} without \"{task}\""
            );
            let log = fs::read_to_string(suite.stack.replica(&replica)?.log())?;
            let mut last_lines = log.lines().rev().take(5);
            let says_which = last_lines.any(|line| line.replace(' ', "-").contains(&task));
            assert!(says_which, "{replica} does not name \"{task}\" at its end");
            suite.stack.restart(&replica).await?;
            let shopper = format!("{replica}-{task}");
            eventually(SERVED_WITHIN, || suite.claim("tea", &shopper, "r-1")).await?;
        }
    }
    suite.end().await
}
