//! Processes of the operating system: signals, command lines, the end of a log.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, setpriority_process, test_kill_process};

/// About a tenth of our weight where both want a processor.
const GIVES_WAY: i32 = 10;

pub fn signal(process: u32, signal: Signal) -> Result<()> {
    let pid = pid(process).with_context(|| format!("{process} is not a process id"))?;
    kill_process(pid, signal).with_context(|| format!("process {process} cannot be signalled"))
}

/// Whether a process is there and ours to signal.
pub fn lives(process: u32) -> bool {
    pid(process).is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}

/// Lets a process and its children give way to this one where there are too few processors for both. Their threads of later on do so as well.
pub fn give_way(process: u32) {
    let mut all = children(process);
    all.push(process);
    for process in all {
        // Linux has a priority for each thread; elsewhere there is one for the process.
        let listed = fs::read_dir(format!("/proc/{process}/task"));
        let listed = listed.into_iter().flatten().flatten();
        let mut threads: Vec<_> = listed
            .filter_map(|thread| thread.file_name().to_str()?.parse().ok())
            .collect();
        if threads.is_empty() {
            threads.push(process);
        }
        for thread in threads.into_iter().filter_map(pid) {
            // One that has ended meanwhile gives way by itself.
            let _ = setpriority_process(Some(thread), GIVES_WAY);
        }
    }
}

/// The command line of a process, its arguments parted by spaces; none if there is no such process.
pub fn command_line(process: u32) -> Option<String> {
    if let Ok(line) = fs::read(format!("/proc/{process}/cmdline")) {
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    // Systems without /proc have ps.
    let output = Command::new("ps")
        .args(["-p", &process.to_string(), "-o", "command="])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn children(process: u32) -> Vec<u32> {
    // `pgrep` is on Linux and on macOS; it answers with nothing, and an exit code of its own, if there are none.
    let output = Command::new("pgrep")
        .args(["-P", &process.to_string()])
        .output();
    let ids = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&ids)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

pub fn tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

pub(crate) fn open_log(log: &Path) -> Result<File> {
    let opened = File::options().create(true).append(true).open(log);
    opened.with_context(|| format!("{} cannot be written", log.display()))
}
