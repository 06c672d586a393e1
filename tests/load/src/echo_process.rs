//! The echo as a process of its own, as the gateway is one.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use tidegate_local::credentials::Credentials;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    runtime::Handle,
};

use crate::{
    arguments::Arguments,
    closed_loop::{Outcomes, claims},
    processor_time::{Part, ProcessorTime, Whose},
    report::{EchoPoint, EchoRound},
    suite,
};

/// Measures the echo with every number of shoppers.
pub async fn measure(
    arguments: &Arguments,
    threads: &Handle,
    credentials: &Credentials,
    folder: &Path,
) -> Result<EchoRound> {
    let (child, address) = start(folder).await?;
    let process = child.id().context("the echo has ended")?;
    // The echo does not look at the token; the bytes are sent all the same.
    let connections = arguments.connections as usize;
    let gateways = [address];
    let caller = suite::caller_at(&gateways, credentials, suite::SUBJECT, connections, threads);
    let caller = caller.await?;
    let mut parts = Part::of_this_process().to_vec();
    parts.push(Part::new("echo", Whose::Process(process)));
    let mut points = Vec::new();
    for shoppers in &arguments.shoppers {
        let look = async || ProcessorTime::read(&parts);
        let timing = arguments.timing();
        let stretch = claims(&caller, threads, "echo", *shoppers, timing, look).await?;
        let outcomes = Outcomes::of(&stretch.ends, stretch.seconds);
        if outcomes.issued == 0 {
            let refused = outcomes.refused;
            bail!("The echo answered nothing with {shoppers} shoppers: {refused:?}");
        }
        points.push(EchoPoint {
            shoppers: *shoppers,
            processor: stretch.after.since(&stretch.before, outcomes.issued),
            outcomes,
        });
    }
    Ok(EchoRound { points })
}

/// Starts this program again as the echo. It ends when its standard input does, which is when
/// `Child` is dropped.
pub async fn start(folder: &Path) -> Result<(Child, SocketAddr)> {
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
