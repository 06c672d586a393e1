//! `tidegate-local with-postgres`: the command gets a durable server and its end is told, and nothing is left of a run, however it ends.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection, Row};
use tidegate_local::processes;

const URL_VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";

fn with_postgres(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-local"));
    command
        .args(["with-postgres", "--", "sh", "-c", script])
        .env_remove(URL_VARIABLE)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A run whose command has begun and goes on for some seconds.
struct Running {
    launcher: Child,
    url: String,
    /// The process of the command.
    command: u32,
}

impl Running {
    fn start() -> Result<Self> {
        let script = "echo $$; echo \"$TIDEGATE_TEST_DATABASE_URL\"; exec sleep 20";
        let mut launcher = with_postgres(script).spawn()?;
        let output = launcher.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut line = || lines.next().context("the command said nothing");
        let (command, url) = (line()??.parse()?, line()??);
        Ok(Self {
            launcher,
            url,
            command,
        })
    }

    /// The folder of the server's data.
    async fn data(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.setting("data_directory").await?))
    }

    async fn setting(&self, name: &str) -> Result<String> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let asked = format!("SHOW {name}");
        Ok(sqlx::query(&asked).fetch_one(&mut connection).await?.get(0))
    }
}

#[tokio::test]
async fn a_command_that_is_asked_to_end_had_a_durable_server_and_leaves_nothing() -> Result<()> {
    let mut running = Running::start()?;
    for (name, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "400"),
        ("listen_addresses", ""),
    ] {
        assert_eq!(running.setting(name).await?, value, "{name}");
    }
    let data = running.data().await?;
    processes::signal(running.launcher.id(), Signal::TERM)?;
    assert_eq!(running.launcher.wait()?.code(), Some(143));
    assert!(!processes::lives(running.command));
    assert!(PgConnection::connect(&running.url).await.is_err());
    assert!(!data.parent().context("no home")?.exists());
    Ok(())
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_by_the_next_and_what_a_living_one_uses_is_not()
-> Result<()> {
    let (mut killed, mut living) = (Running::start()?, Running::start()?);
    let data = killed.data().await?;
    killed.launcher.kill()?;
    killed.launcher.wait()?;
    processes::signal(killed.command, Signal::KILL)?;
    assert!(PgConnection::connect(&killed.url).await.is_ok());
    let next = with_postgres("true")
        .env(URL_VARIABLE, "postgres://there")
        .output()?;
    assert!(next.status.success());
    assert!(PgConnection::connect(&killed.url).await.is_err());
    assert!(!data.parent().context("no home")?.exists());
    assert_eq!(living.setting("fsync").await?, "on");
    processes::signal(living.launcher.id(), Signal::INT)?;
    assert_eq!(living.launcher.wait()?.code(), Some(130));
    Ok(())
}

#[test]
fn the_code_of_the_command_is_kept_and_what_it_leaves_running_is_stopped_and_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let id = folder.path().join("id");
    let script = format!(
        "sleep 300 >/dev/null 2>&1 & echo $! >{}; echo ${URL_VARIABLE}; exit 7",
        id.display()
    );
    let output = with_postgres(&script)
        .env(URL_VARIABLE, "postgres://there")
        .output()?;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8(output.stdout)?.trim(),
        "postgres://there",
        "a server that is named is used"
    );
    let told = String::from_utf8(output.stderr)?;
    assert!(
        told.contains("Left running") && told.contains("sleep 300"),
        "{told}"
    );
    // One that has ended has no command line, though its parent may not have asked after it yet.
    let left = processes::command_line(fs::read_to_string(id)?.trim().parse()?);
    assert!(!left.unwrap_or_default().contains("sleep"));
    Ok(())
}
