//! The suite under test: real processes, with a proxy on every edge and a clock for every replica.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use tidegate_local::{
    postgres::{DATABASE_URL_VARIABLE, Database},
    stack::{Service, Stack, StackOptions},
};
use tokio::process::Command;

use crate::{clock::Clocks, edges::Edges, mutation::Mutation};

/// How long quota waits for a silent holder; the least it takes, so that a round has room for many.
pub const LEASE_TTL: Duration = Duration::from_secs(2);
/// Kept short, since a rolling restart waits for it six times.
const DRAIN: Duration = Duration::from_secs(2);
/// Where a test build of a service reads which of its fail points do what.
const FAIL_POINTS_VARIABLE: &str = "FAILPOINTS";

#[derive(Debug)]
pub struct Suite {
    pub stack: Stack,
    pub edges: Edges,
    pub clocks: Clocks,
}

impl Suite {
    /// Starts a suite in an empty folder.
    ///
    /// # Errors
    /// A part does not come up; the mutation needs a fail point that is not built in.
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
        let point = mutation.and_then(|mutation| Some((mutation.service()?, mutation.name())));
        if let Some((service, name)) = point {
            let points = (FAIL_POINTS_VARIABLE.to_owned(), format!("{name}=return"));
            options.variables.push((service, points.0, Some(points.1)));
        }
        let mut stack = Stack::prepare(options).await?;
        if let Some((service, _)) = point {
            ensure_built_in(&stack, service).await?;
        }
        let clocks = Clocks::build(&data.join("clocks"))?;
        clocks.hand_out(&mut stack)?;
        let edges = Edges::lay(&mut stack).await?;
        stack.bring_up().await?;
        let postgres = stack.postgres().superuser();
        match mutation {
            Some(Mutation::AcknowledgeBeforeCommit) => write_wal_late(&postgres).await?,
            Some(Mutation::DropUniqueKey) => {
                let name = Database::Issuance.name(&stack.options().database_prefix);
                drop_unique_key(&postgres.database(&name)).await?;
            }
            _ => {}
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
async fn write_wal_late(postgres: &PgConnectOptions) -> Result<()> {
    let mut connection = postgres.connect().await?;
    // One by one: these may not stand in a transaction, which several statements at once would be.
    for statement in include_str!("../queries/write_wal_late.sql").split_inclusive(';') {
        connection.execute(statement).await?;
    }
    connection.close().await?;
    Ok(())
}

async fn drop_unique_key(issuance: &PgConnectOptions) -> Result<()> {
    let mut connection = issuance.connect().await?;
    connection
        .execute(include_str!("../queries/drop_unique_key.sql"))
        .await?;
    Ok(connection.close().await?)
}

/// A service without fail points does not read the variable, and has nothing to say of what it cannot do.
async fn ensure_built_in(stack: &Stack, service: Service) -> Result<()> {
    let mut replicas = stack.replicas().iter();
    let replica = replicas
        .find(|replica| replica.service() == service)
        .with_context(|| format!("There is no replica of {}.", service.name()))?;
    let output = Command::new(replica.binary())
        .arg("check-config")
        .env_clear()
        .env(FAIL_POINTS_VARIABLE, "any=no-such-action")
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        String::from_utf8_lossy(&output.stderr).contains("no-such-action"),
        "{} has no fail points: build it with `cargo build -p tidegate-quota -p tidegate-issuance --features tidegate-quota/mutations,tidegate-issuance/mutations`.",
        replica.binary().display()
    );
    Ok(())
}
