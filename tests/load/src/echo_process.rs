//! The echo as a process of its own, as the gateway is one, with those who call it.

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use anyhow::{Context, Result};
use tidegate_client::Caller;
use tidegate_local::credentials::Credentials;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
};

use crate::{
    arguments::Timing,
    closed_loop::{ClosedLoop, nothing},
    outcomes::Measured,
    processor_time::{Part, Whose},
    suite::{STREAMS, SUBJECT, connect},
};

/// A running echo. It ends when its standard input does, which is when this is dropped.
pub struct EchoProcess {
    pub caller: Arc<Caller>,
    pub part: Part,
    threads: Handle,
    _child: Child,
}

impl EchoProcess {
    /// Starts this program again as the echo. It does not look at the token; the bytes are sent all
    /// the same.
    pub async fn start(
        credentials: &Credentials,
        connections: usize,
        threads: &Handle,
    ) -> Result<Self> {
        let (child, address) = start(credentials.folder()).await?;
        let process = child.id().context("the echo has ended")?;
        Ok(Self {
            caller: Arc::new(
                connect(&[address], credentials, SUBJECT, connections, threads).await?,
            ),
            part: Part::new("echo", Whose::Process(process)),
            threads: threads.clone(),
            _child: child,
        })
    }

    /// The same for callers who make their calls over streams.
    pub async fn start_over_streams(credentials: &Credentials, threads: &Handle) -> Result<Self> {
        let echo = Self::start(credentials, STREAMS, threads).await?;
        let caller = Arc::into_inner(echo.caller).context("the echo is called already")?;
        Ok(Self {
            caller: Arc::new(caller.over_streams()),
            ..echo
        })
    }

    /// How many claims it answers to so many shoppers at a time.
    pub async fn measure(&self, shoppers: u32, timing: Timing) -> Result<Measured> {
        let mut parts = Part::of_this_process().to_vec();
        parts.push(self.part.clone());
        let crowd = ClosedLoop {
            threads: self.threads.clone(),
            shoppers,
            timing,
            parts,
        };
        let (measured, _) = crowd.claims(&self.caller, "echo", nothing).await?;
        measured.of_something("the echo")
    }
}

async fn start(folder: &Path) -> Result<(Child, SocketAddr)> {
    let program = std::env::current_exe().context("this executable's own path is not known")?;
    let mut child = Command::new(program)
        .arg("echo")
        .arg("--credentials")
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the echo cannot be started")?;
    let output = child.stdout.take().context("the echo has no output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    let address = line
        .context("the echo ended before it listened")?
        .parse()
        .context("the echo did not say where it listens")?;
    Ok((child, address))
}
