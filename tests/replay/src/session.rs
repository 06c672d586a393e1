//! A command in a session of its own, so that whatever it starts and leaves behind can be found and stopped.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tidegate_local::processes;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

/// What ends by itself within this after the command is not left running.
const FAREWELL: Duration = Duration::from_secs(2);
/// Time for the command to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(15);
/// How what is left running is asked to end, and the time it gets. What a shell started in the background is deaf to the first.
const REQUESTS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(5)),
    (Signal::TERM, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(5)),
];
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Session {
    leader: Child,
    /// The process id of the leader, which is the id of its group and of its session as well.
    id: u32,
}

impl Session {
    /// Starts a command with one more variable, without input.
    pub fn start(words: &[OsString], variable: &str, value: &str) -> Result<Self> {
        let [program, arguments @ ..] = words else {
            bail!("There is no command to run.");
        };
        // Elsewhere there is no `setsid`, and no way to list the processes of a session.
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setsid");
            command.arg(program);
            command
        } else {
            let mut command = Command::new(program);
            command.process_group(0);
            command
        };
        let leader = command
            .args(arguments)
            .env(variable, value)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let id = leader.id().context("the command ended at once")?;
        Ok(Self { leader, id })
    }

    pub async fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.leader.wait().await?)
    }

    /// Sends a signal to the command and the processes of its group.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.id).ok().and_then(Pid::from_raw) {
            // They may have ended meanwhile.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for the end of a command that was asked to end, and kills it if it does not listen.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(GRACE, self.leader.wait()).await {
            return Ok(status?);
        }
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// Ends what the command left running: asked first, killed if it does not listen. Returns the command lines.
    pub async fn sweep(&self) -> Vec<String> {
        self.have_all_ended(FAREWELL).await;
        let left = self.members();
        let lines = left.iter().map(|process| {
            let line = processes::command_line(*process).unwrap_or_default();
            format!("{process} {}", line.trim())
        });
        let lines = lines.collect();
        for (signal, limit) in REQUESTS {
            for process in self.members() {
                let _ = processes::signal(process, signal);
            }
            self.have_all_ended(limit).await;
        }
        lines
    }

    async fn have_all_ended(&self, limit: Duration) {
        let began = Instant::now();
        while !self.members().is_empty() && began.elapsed() < limit {
            sleep(POLL).await;
        }
    }

    /// The processes of the session that run.
    fn members(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes
            .filter(|process| session_of(*process) == Some(self.id))
            .collect()
    }
}

/// The session of a process; none of one that has ended and only waits for its parent to ask after it.
fn session_of(process: u32) -> Option<u32> {
    let facts = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the bracket may hold anything; state, parent, group and session follow.
    let (_, facts) = facts.rsplit_once(") ")?;
    let facts: Vec<&str> = facts.split(' ').collect();
    (facts.first() != Some(&"Z")).then(|| facts.get(3)?.parse().ok())?
}

/// The exit code by which a shell would tell of this end.
pub fn exit_code(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(by_signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
