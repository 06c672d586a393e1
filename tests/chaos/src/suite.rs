//! The suite under test: real processes, with a proxy on every edge and a clock for every replica.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use tidegate_client::{heal, replicas};
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
        let ttl = LEASE_TTL.as_millis().to_string();
        let mut variables = vec![(
            Service::Quota,
            "TIDEGATE_LEASE_TTL_MS".to_owned(),
            Some(ttl),
        )];
        let point = mutation.and_then(|mutation| Some((mutation.service()?, mutation.name())));
        if let Some((service, name)) = &point {
            let action = Some(format!("{name}=return"));
            variables.push((*service, FAIL_POINTS_VARIABLE.to_owned(), action));
        }
        let options = StackOptions {
            reset: true,
            drain_ms: DRAIN.as_millis() as u64,
            variables,
            say,
            ..StackOptions::new(data.join("stack"))
        };
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
            // What is acknowledged before it is on disk would mostly get there before the next kill.
            Some(Mutation::AcknowledgeBeforeCommit) => {
                execute(&postgres, include_str!("../queries/write_wal_late.sql")).await?;
            }
            Some(Mutation::DropUniqueKey) => {
                let issuance = database(&stack, Service::Issuance);
                execute(&issuance, include_str!("../queries/drop_unique_key.sql")).await?;
            }
            _ => {}
        }
        Ok(Self {
            stack,
            edges,
            clocks,
        })
    }

    /// Lets everything pass, sets every clock right, and starts whatever does not run.
    pub async fn heal(&mut self) -> Result<()> {
        self.edges.heal();
        for (_, name) in replicas(&self.stack) {
            self.clocks.set(&name, 0)?;
        }
        heal(&mut self.stack).await
    }
}

/// A database of the stack, by a superuser and past every proxy.
pub fn database(stack: &Stack, service: Service) -> PgConnectOptions {
    let name = service.database(&stack.options().database_prefix);
    stack.postgres().superuser().database(&name)
}

/// Changes the database one statement after the other: some may not stand in a transaction, which
/// several at once would be.
async fn execute(database: &PgConnectOptions, statements: &str) -> Result<()> {
    let mut connection = database.connect().await?;
    for statement in statements.split_inclusive(';') {
        connection.execute(statement).await?;
    }
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
