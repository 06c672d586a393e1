//! `tidegatectl` against a suite: its pages, typed word for word, what it refuses, how it fails, and
//! what it does under way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::Executor as _;
use tidegate_e2e::{Suite, hold};
use tidegate_local::{stack::Service, way_in};
use tidegate_proto::{quota::v1::ListChangesRequest, r#type::v1::ChangeFilter};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Child,
    time::timeout,
};

const PAGE: &str = "deploy/ctl/README.md";
const NOT_ALLOWED: i32 = 5;
/// Something is not as it should be.
const FOUND: i32 = 7;

/// A person at a shell in the repository's folder, with a context of a suite.
struct Terminal {
    config: PathBuf,
    programs: PathBuf,
}

impl Terminal {
    async fn open(suite: &Suite) -> Result<Self> {
        let config = suite.stack.credentials().folder().join("contexts.yaml");
        let traces = suite.collector.serve_http().await?;
        let is_current = way_in::write(way_in::context(&suite.stack, Some(traces))?, &config)?;
        assert!(is_current);
        let programs = match std::env::var_os("TIDEGATE_BIN_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_exe()?
                .ancestors()
                .nth(2)
                .context("the test has no folder")?
                .to_owned(),
        };
        Ok(Self { config, programs })
    }

    /// Types a line that goes on until it is stopped.
    fn begin(&self, line: &str) -> Result<Child> {
        let mut shell = tokio::process::Command::from(self.shell(&format!("exec {line}")));
        Ok(shell.kill_on_drop(true).stdout(Stdio::null()).spawn()?)
    }

    fn shell(&self, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(root())
            .stdin(Stdio::null())
            .env("TIDEGATE_CONFIG", &self.config)
            .env("PATH", format!("{}:{path}", self.programs.display()));
        shell
    }

    /// Types one line that has to succeed, and gives what it printed.
    fn says(&self, line: &str) -> Result<String> {
        let typed = self.shell(line).output()?;
        let (out, err) = (text(&typed.stdout), text(&typed.stderr));
        assert!(typed.status.success(), "{line}\n{out}\n{err}");
        Ok(out)
    }

    /// Types one line that has to fail with this code, and to say this on stderr; what it printed.
    fn fails(&self, line: &str, code: i32, part: &str) -> Result<String> {
        let typed = self.shell(line).output()?;
        let (out, err) = (text(&typed.stdout), text(&typed.stderr));
        assert_eq!(typed.status.code(), Some(code), "{line}: {out}{err}");
        assert!(err.contains(part), "{line}: {err}");
        Ok(out)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines to type of the page, from one heading to the next.
fn lines_of(heading: &str) -> Result<Vec<String>> {
    let page = fs::read_to_string(root().join(PAGE))?;
    let rest = page
        .split_once(heading)
        .context("the page has no such heading")?
        .1;
    let part = rest.split_once("\n## ").map_or(rest, |(part, _)| part);
    let blocks = part.split("```sh\n").skip(1);
    let lines = blocks
        .filter_map(|block| block.split_once("```"))
        .flat_map(|(block, _)| block.lines());
    Ok(lines.map(str::to_owned).collect())
}

/// On several threads: whoever types waits, and the backend of traces answers meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_ten_minutes_of_a_campaign_person_and_of_an_sre_work_word_for_word() -> Result<()>
{
    let suite = Suite::start().await?;
    let terminal = Terminal::open(&suite).await?;
    let mut said = String::new();
    let mut recording = Recording::begin();
    for heading in [
        "## The first ten minutes of a campaign person",
        "## An SRE's first ten minutes",
    ] {
        let lines = lines_of(heading)?;
        assert!(lines.len() >= 8, "{heading} has {} lines", lines.len());
        for line in lines {
            let answer = terminal.says(&line)?;
            recording.add(&line, &answer);
            said += &format!("$ {line}\n{answer}");
        }
    }
    for part in [
        "HALTED",
        "The books agree",
        "ACCEPTED",
        "the posters show the wrong price",
        "Nothing was found.",
        "ClaimCoupon",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    recording.end()?;
    suite.end().await
}

/// A terminal's recording in asciinema's format (version 2), kept if TIDEGATE_RECORDING names a
/// file.
struct Recording {
    began: Instant,
    /// What people need to read a line before it answers, counted on top.
    read_for: Duration,
    lines: Vec<String>,
}

impl Recording {
    fn begin() -> Self {
        let head = json!({ "version": 2, "width": 140, "height": 40, "title": "tidegatectl" });
        Self {
            began: Instant::now(),
            read_for: Duration::ZERO,
            lines: vec![head.to_string()],
        }
    }

    fn add(&mut self, typed: &str, answer: &str) {
        self.read_for += Duration::from_secs(1);
        let at = (self.began.elapsed() + self.read_for).as_secs_f64();
        let shown = format!("$ {typed}\n{answer}").replace('\n', "\r\n");
        self.lines.push(json!([at, "o", shown]).to_string());
    }

    fn end(self) -> Result<()> {
        let Some(file) = std::env::var_os("TIDEGATE_RECORDING") else {
            return Ok(());
        };
        Ok(fs::write(root().join(file), self.lines.join("\n") + "\n")?)
    }
}

#[tokio::test]
async fn what_is_typed_is_done_refused_or_said_to_have_failed() -> Result<()> {
    hold!(Suite::start().await?;
        exit_codes_say_which_kind_of_failure_it_is,
        a_services_own_database_role_can_add_to_the_record_of_changes_and_not_alter_it,
        a_change_that_a_listener_did_not_take_is_forwarded_again,
    )
}

async fn exit_codes_say_which_kind_of_failure_it_is(suite: &Suite) -> Result<()> {
    let terminal = Terminal::open(suite).await?;
    suite.open("tea", 100).await?;
    for (line, code, part) in [
        ("campaign show nowhere", 4, "tidegatectl campaign list"),
        (
            "campaign budget tea nothing --add 1 --reason r",
            2,
            "tier_id",
        ),
        ("campaign end tea --reason 'over'", 2, "--yes"),
        ("campaign create --file /nowhere.yaml", 1, "/nowhere.yaml"),
        (
            "campaign diff --file deploy/ctl/examples/spring-tea.yaml",
            7,
            "does not exist",
        ),
        ("order show nothing", 2, "order_id"),
        ("--context elsewhere campaign list", 2, "there are local"),
        ("explain NONSENSE", 2, "BUDGET_EXHAUSTED"),
        ("--explain NONSENSE", 2, "BUDGET_EXHAUSTED"),
    ] {
        terminal.fails(&format!("tidegatectl {line}"), code, part)?;
    }
    let shown = terminal.says("tidegatectl campaign show tea --output json")?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert_eq!(shown["control"]["issuance_state"], "ISSUANCE_STATE_OPEN");
    // A token that is good, of a certificate that is good, and that allows nothing of this.
    terminal.says("tidegatectl token mint --subject eve --scope wallet:read")?;
    let list = "tidegatectl campaign list";
    terminal.fails(list, NOT_ALLOWED, "PERMISSION_DENIED")?;
    Ok(())
}

#[tokio::test]
async fn the_doctor_names_a_replica_that_is_gone_and_one_without_its_database() -> Result<()> {
    let mut suite = Suite::start().await?;
    let terminal = Terminal::open(&suite).await?;
    terminal.says("tidegatectl doctor")?;
    let gone = suite.stack.replica("issuance-1")?.grpc_address();
    suite.stack.kill("issuance-1").await?;
    let said = terminal.fails("tidegatectl doctor --timeout 3s", FOUND, "")?;
    assert!(said.contains(&format!("issuance at {gone}")), "{said}");

    suite.stack.postgres_mut().stop().await?;
    let said = terminal.fails("tidegatectl doctor --timeout 8s", FOUND, "")?;
    assert!(said.contains("the database of quota"), "{said}");
    suite.end().await
}

async fn a_services_own_database_role_can_add_to_the_record_of_changes_and_not_alter_it(
    suite: &Suite,
) -> Result<()> {
    suite.open("kept", 100).await?;
    suite.staff.make_store().await?;
    for service in [Service::Quota, Service::Issuance, Service::OrderIntake] {
        let mut role = suite.database_of(service).await?;
        for statement in [
            "UPDATE change_log.changes SET subject = 'somebody else'",
            "DELETE FROM change_log.changes",
            "TRUNCATE change_log.changes",
            "DROP TABLE change_log.changes",
            "DROP SCHEMA change_log CASCADE",
            "ALTER TABLE change_log.changes DISABLE TRIGGER ALL",
            "ALTER TABLE change_log.changes OWNER TO CURRENT_USER",
            "CREATE RULE quiet AS ON INSERT TO change_log.changes DO INSTEAD NOTHING",
            "CREATE TABLE change_log.others ()",
        ] {
            let refused = role.execute(statement).await.unwrap_err();
            let code = refused.as_database_error().and_then(|error| error.code());
            assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
        }
    }
    let staff = &suite.staff;
    let of_tea = staff.request(ListChangesRequest {
        filter: Some(ChangeFilter {
            resource_kind: "campaign".into(),
            resource_id: "kept".into(),
            ..ChangeFilter::default()
        }),
        ..ListChangesRequest::default()
    });
    let history = staff.campaigns().list_changes(of_tea).await?;
    let history = history.into_inner().changes;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].action, "CreateCampaign");
    assert_eq!(history[0].subject, "staff");
    Ok(())
}

async fn a_change_that_a_listener_did_not_take_is_forwarded_again(suite: &Suite) -> Result<()> {
    let terminal = Terminal::open(suite).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let line = format!(
        "tidegatectl feed listen --consumer hook --forward-to http://{}/hook",
        listener.local_addr()?
    );
    let mut listening = terminal.begin(&line)?;
    suite.open("heard", 100).await?;
    suite.staff.make_store().await?;
    let code = suite.coupon("heard", "ann").await?;
    suite.order("ann", "o-1", &code).await?;
    let refused = answer(&listener, "500 Internal Server Error").await?;
    let taken = answer(&listener, "200 OK").await?;
    assert_eq!(refused["order_id"], taken["order_id"]);
    assert_eq!(taken["shopper_id"], "ann");
    listening.kill().await?;
    Ok(())
}

/// Takes one request and answers it; gives its JSON.
async fn answer(listener: &TcpListener, status: &str) -> Result<Value> {
    let (mut stream, _) = timeout(Duration::from_secs(20), listener.accept()).await??;
    let mut read = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let count = stream.read(&mut chunk).await?;
        read.extend_from_slice(&chunk[..count]);
        let whole = text(&read);
        let body = whole.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(Ok(value)) = body.map(serde_json::from_str) {
            let said =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(said.as_bytes()).await?;
            return Ok(value);
        }
        anyhow::ensure!(count > 0, "the request ended early: {whole}");
    }
}
