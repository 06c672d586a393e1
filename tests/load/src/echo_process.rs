//! The echo as a process of its own, as the gateway is one.

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use anyhow::{Context, Result, bail};
use tidegate_local::{
    credentials::{Credentials, Identity, Scope, Token},
    replay::door::Door,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    arguments::Arguments,
    crowd::Crowd,
    processor_time::{Part, ProcessorTime},
    report::{EchoPoint, EchoRound},
};

/// Measures the echo with every number of shoppers.
pub async fn measure(
    arguments: &Arguments,
    crowd: &Crowd,
    credentials: &Credentials,
    folder: &Path,
) -> Result<EchoRound> {
    let (child, address) = start(folder).await?;
    let process = child.id().context("the echo has ended")?;
    let door = Arc::new(door(arguments, crowd, credentials, address)?);
    let parts = vec![
        Part::process("echo", process),
        Part::shoppers(),
        Part::harness(),
    ];
    let mut points = Vec::new();
    for shoppers in &arguments.shoppers {
        let look = async || ProcessorTime::read(&parts);
        let stretch = crowd
            .claim(&door, "echo", *shoppers, arguments.timing(), look)
            .await?;
        if stretch.outcomes.issued == 0 {
            bail!(
                "The echo answered nothing with {shoppers} shoppers: {:?}",
                stretch.outcomes.refused
            );
        }
        points.push(EchoPoint {
            shoppers: *shoppers,
            processor: stretch
                .after
                .since(&stretch.before, stretch.outcomes.issued),
            outcomes: stretch.outcomes,
        });
    }
    Ok(EchoRound { points })
}

/// Starts this program again as the echo. It ends when its standard input does, which is when `Child` is dropped.
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

fn door(
    arguments: &Arguments,
    crowd: &Crowd,
    credentials: &Credentials,
    address: SocketAddr,
) -> Result<Door> {
    let connect = || credentials.channel(Some(Identity::Chatbot), Identity::Gateway, address);
    let channels = (0..arguments.connections).map(|_| crowd.connect(connect));
    // The echo does not look at the token; the bytes are sent all the same.
    let token = credentials.sign(&Token::new("load", &Scope::CHATBOT))?;
    Door::new(channels.collect::<Result<_>>()?, &token)
}
