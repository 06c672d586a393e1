//! The suite under test: real processes, with a proxy on every edge and a clock for every replica.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, Connection, Executor};
use tidegate_local::{
    postgres::DATABASE_URL_VARIABLE,
    stack::{Service, Stack, StackOptions},
};
use tokio::process::Command;

use crate::{clock::Clocks, edges::Edges, mutation::Mutation};

/// How long quota waits for a silent holder; the least it takes, so that a round has room for many.
pub const LEASE_TTL: Duration = Duration::from_secs(2);
/// Kept short, since a rolling restart waits for it six times.
const DRAIN: Duration = Duration::from_secs(2);
const MUTATION_VARIABLE: &str = "TIDEGATE_MUTATION";

#[derive(Debug)]
pub struct Suite {
    pub stack: Stack,
    pub edges: Edges,
    pub clocks: Clocks,
}

impl Suite {
    /// Starts a suite in an empty folder.
    pub async fn start(data: &Path, mutation: Option<Mutation>, say: fn(&str)) -> Result<Self> {
        ensure!(
            std::env::var_os(DATABASE_URL_VARIABLE).is_none_or(|url| url.is_empty()),
            "The PostgreSQL of {DATABASE_URL_VARIABLE} is not ours to kill: unset the variable."
        );
        let mut options = StackOptions::new(data.join("stack"));
        options.reset = true;
        options.drain_ms = DRAIN.as_millis() as u64;
        options.say = say;
        let ttl = LEASE_TTL.as_millis().to_string();
        let ttl = ("TIDEGATE_LEASE_TTL_MS".to_owned(), Some(ttl));
        options.variables.push((Service::Quota, ttl.0, ttl.1));
        if let Some(mutation) = mutation {
            let switch = (
                MUTATION_VARIABLE.to_owned(),
                Some(mutation.name().to_owned()),
            );
            options
                .variables
                .push((mutation.service(), switch.0, switch.1));
        }
        let mut stack = Stack::prepare(options).await?;
        if let Some(mutation) = mutation {
            ensure_built_in(&stack, mutation).await?;
        }
        let clocks = Clocks::build(&data.join("clocks"))?;
        clocks.hand_out(&mut stack)?;
        let edges = Edges::lay(&mut stack).await?;
        stack.bring_up().await?;
        if mutation == Some(Mutation::AcknowledgeBeforeCommit) {
            write_wal_late(&stack).await?;
        }
        Ok(Self {
            stack,
            edges,
            clocks,
        })
    }

    /// The names of a service's replicas, in order.
    pub fn replicas_of(&self, service: Service) -> Vec<String> {
        let replicas = self.stack.replicas().iter();
        replicas
            .filter(|replica| replica.service() == service)
            .map(|replica| replica.name().to_owned())
            .collect()
    }

    /// Lets everything pass, sets every clock right, and starts whatever does not run.
    pub async fn heal(&mut self) -> Result<()> {
        self.edges.heal();
        self.stack.postgres_mut().start().await?;
        for service in Service::START_ORDER {
            for name in self.replicas_of(service) {
                self.clocks.set(&name, 0)?;
                if self.stack.replica(&name)?.process_id().is_none() {
                    self.stack.restart(&name).await?;
                } else {
                    self.stack.resume(&name)?;
                }
            }
        }
        Ok(())
    }
}

/// What is acknowledged before it is on disk would mostly get there before the next kill.
async fn write_wal_late(stack: &Stack) -> Result<()> {
    let mut connection = stack.postgres().superuser().connect().await?;
    // One by one: these may not stand in a transaction, which several statements at once would be.
    for statement in include_str!("../queries/write_wal_late.sql").split_inclusive(';') {
        connection.execute(statement).await?;
    }
    connection.close().await?;
    Ok(())
}

/// A service without the feature does not know the variable: then it does not name it among its
/// faults either.
async fn ensure_built_in(stack: &Stack, mutation: Mutation) -> Result<()> {
    let mut replicas = stack.replicas().iter();
    let replica = replicas
        .find(|replica| replica.service() == mutation.service())
        .with_context(|| format!("There is no replica of {}.", mutation.service().name()))?;
    let output = Command::new(replica.binary())
        .arg("check-config")
        .env_clear()
        .env(MUTATION_VARIABLE, "no-such-mutation")
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        String::from_utf8_lossy(&output.stderr).contains(MUTATION_VARIABLE),
        "{} has no mutations built in: build it with `cargo build -p tidegate-quota -p tidegate-issuance --features tidegate-quota/mutations,tidegate-issuance/mutations`.",
        replica.binary().display()
    );
    Ok(())
}
