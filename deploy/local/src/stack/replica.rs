//! One process of one service.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::{Service, StackOptions, ports::Ports};
use crate::processes::{self, tail};

/// Names the folder of the service binaries, where they are not beside this one.
const BINARY_FOLDER_VARIABLE: &str = "TIDEGATE_BIN_DIR";
const READY_LIMIT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// What a service may take to end beyond the time it has for draining.
const END_MARGIN: Duration = Duration::from_secs(10);
const LOG_LINES: usize = 10;

#[derive(Debug)]
pub struct Replica {
    service: Service,
    name: String,
    grpc_address: SocketAddr,
    admin_address: SocketAddr,
    binary: PathBuf,
    log: PathBuf,
    command_mark: String,
    end_limit: Duration,
    variables: BTreeMap<String, Option<String>>,
    entrance: Vec<String>,
    child: Option<Child>,
}

/// Where a replica runs that does not run beside its launcher.
#[derive(Debug, Clone)]
pub struct Place {
    pub grpc_address: SocketAddr,
    pub admin_address: SocketAddr,
    /// The words of a command that goes there and then becomes the process that the words after them name: what its first argument is to be, the program, and the program's arguments.
    pub entrance: Vec<String>,
}

/// Names every replica and gives it ports, which are its own for as long as [`Ports`] lives: the gateways' gRPC ports first, since people type those.
pub(super) fn lay_out(options: &StackOptions) -> Result<(Vec<Replica>, Ports)> {
    let folder = binary_folder()?;
    let mut ports = Ports::new(options.base_port);
    let mut replicas = Vec::new();
    for service in Service::START_ORDER.into_iter().rev() {
        let binary = folder.join(service.binary());
        if !binary.is_file() {
            bail!(
                "{} is missing: build it with `cargo build -p {}`, or set {BINARY_FOLDER_VARIABLE} to the folder that has it.",
                binary.display(),
                service.binary()
            );
        }
        for number in 0..options.replicas_of(service) {
            let name = format!("{}-{number}", service.name());
            replicas.push(Replica {
                service,
                grpc_address: ports.take(&format!("the gRPC of {name}"))?,
                // Replaced below: admin ports come after all gRPC ports.
                admin_address: SocketAddr::from(([127, 0, 0, 1], 0)),
                binary: binary.clone(),
                log: options.log_file(&name),
                command_mark: format!("tidegate {name} in {}", options.data.display()),
                end_limit: Duration::from_millis(options.drain_ms) + END_MARGIN,
                variables: BTreeMap::new(),
                entrance: Vec::new(),
                child: None,
                name,
            });
        }
    }
    for replica in &mut replicas {
        replica.admin_address = ports.take(&format!("the admin pages of {}", replica.name))?;
    }
    Ok((replicas, ports))
}

/// The folder of this executable; that of a test is one further up.
fn binary_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(BINARY_FOLDER_VARIABLE) {
        return Ok(PathBuf::from(folder));
    }
    let executable = std::env::current_exe().context("this executable's own path is not known")?;
    let folder = executable.parent();
    let folder = folder.context("this executable has no folder")?;
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).to_owned())
}

impl Replica {
    pub fn service(&self) -> Service {
        self.service
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it serves gRPC over TLS.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where it serves `/livez`, `/readyz` and `/metrics` over plain HTTP.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    pub fn binary(&self) -> &Path {
        &self.binary
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What its command line contains and no other process's does.
    pub(super) fn command_mark(&self) -> &str {
        &self.command_mark
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&String, &Option<String>)> {
        self.variables.iter()
    }

    pub(super) fn set_variable(&mut self, name: &str, value: Option<&str>) {
        self.variables
            .insert(name.to_owned(), value.map(str::to_owned));
    }

    pub(super) fn place(&mut self, place: Place) {
        self.grpc_address = place.grpc_address;
        self.admin_address = place.admin_address;
        self.entrance = place.entrance;
    }

    pub(super) fn spawn(&mut self, environment: &BTreeMap<String, String>) -> Result<()> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let log = processes::open_log(&self.log)?;
        let mut command = self.command();
        command.arg("serve");
        // Nothing of the launcher's own configuration may reach a service.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        command
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own, so that Ctrl-C reaches the launcher only, which stops the services in order.
        command.process_group(0);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("{} cannot be run", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    fn command(&self) -> std::process::Command {
        // The name in process lists says which replica of which stack this is; leftovers are known by it.
        match self.entrance.split_first() {
            None => {
                let mut command = std::process::Command::new(&self.binary);
                command.arg0(&self.command_mark);
                command
            }
            Some((program, words)) => {
                let mut command = std::process::Command::new(program);
                command.args(words);
                command.arg(&self.command_mark).arg(&self.binary);
                command
            }
        }
    }

    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        while !self.is_ready().await {
            let child = self.child.as_mut().context("it was not started")?;
            let trouble = if let Some(status) = child.try_wait()? {
                self.child = None;
                format!("ended while it started ({status})")
            } else if started.elapsed() > READY_LIMIT {
                format!("is not ready after {} s", READY_LIMIT.as_secs())
            } else {
                sleep(READY_POLL).await;
                continue;
            };
            let (name, log, end) = (&self.name, &self.log, tail(&self.log, LOG_LINES));
            bail!("{name} {trouble}. The end of {}:\n{end}", log.display());
        }
        Ok(())
    }

    /// Whether `/readyz` says yes now.
    pub async fn is_ready(&self) -> bool {
        matches!(self.get("/readyz").await, Ok((200, _)))
    }

    /// Reads a page of the admin port: its status and its body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let client = reqwest::Client::builder().no_proxy().timeout(PROBE_LIMIT);
        let url = format!("http://{}{path}", self.admin_address);
        let request = client.build()?.get(url);
        let silent = || format!("{} does not answer {path}", self.name);
        let answer = request.send().await.with_context(silent)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.with_context(silent)?))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process_id();
        processes::signal(process.ok_or_else(|| self.does_not_run())?, signal)
    }

    fn take_child(&mut self) -> Result<Child> {
        self.child.take().ok_or_else(|| self.does_not_run())
    }

    fn does_not_run(&self) -> anyhow::Error {
        anyhow!("{} does not run", self.name)
    }

    pub(super) async fn kill(&mut self) -> Result<()> {
        let killed = self.take_child()?.kill().await;
        killed.with_context(|| format!("{} cannot be killed", self.name))
    }

    pub(super) async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        // One that is paused hears nothing until it goes on.
        self.signal(Signal::CONT)?;
        self.wait().await
    }

    pub(super) async fn wait(&mut self) -> Result<ExitStatus> {
        let mut child = self.take_child()?;
        match timeout(self.end_limit, child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                child.kill().await?;
                bail!(
                    "{} did not end within {} s and was killed: read {}.",
                    self.name,
                    self.end_limit.as_secs(),
                    self.log.display()
                )
            }
        }
    }
}
