//! The pages of `tidegatectl`, typed word for word against a suite.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::json;
use tidegate_e2e::Suite;
use tidegate_local::way_in;
use tokio::process::Child;

const PAGE: &str = "deploy/ctl/README.md";

/// A person at a shell in the repository's folder, with a context of a suite.
pub(crate) struct Terminal {
    config: PathBuf,
    programs: PathBuf,
}

impl Terminal {
    pub(crate) async fn open(suite: &Suite) -> Result<Self> {
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
    pub(crate) fn begin(&self, line: &str) -> Result<Child> {
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
    pub(crate) fn says(&self, line: &str) -> Result<String> {
        let typed = self.shell(line).output()?;
        let (out, err) = (text(&typed.stdout), text(&typed.stderr));
        assert!(typed.status.success(), "{line}\n{out}\n{err}");
        Ok(out)
    }

    /// Types one line that has to fail with this code, and to say this on stderr; what it printed.
    pub(crate) fn fails(&self, line: &str, code: i32, part: &str) -> Result<String> {
        let typed = self.shell(line).output()?;
        let (out, err) = (text(&typed.stdout), text(&typed.stderr));
        assert_eq!(typed.status.code(), Some(code), "{line}: {out}{err}");
        assert!(err.contains(part), "{line}: {err}");
        Ok(out)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
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
