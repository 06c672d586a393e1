//! The suite with a ceiling well below what the generator can offer tenfold.
//!
//! Suite and generator share the machine, so ten times what the machine itself can serve cannot be
//! offered honestly. Here issuance's commits are slow, by PostgreSQL's own `commit_delay`, and
//! small: what can be served is set by waiting and not by processors, and whatever the flood costs
//! in processor time is there to be had.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use sqlx::{ConnectOptions, Connection};
use tidegate_client::{Caller, Staff};
use tidegate_local::stack::{Service, Stack, StackOptions};
use tidegate_replay::collector::Collector;
use tokio::runtime::Handle;

use crate::{suite, tell};

const COMMITS_SLOWED: &str = include_str!("../queries/commits_slowed.sql");
const LANES: u16 = 1;
/// Calls of one gateway that are under way at issuance: as many as by default with sixteen lanes.
/// With the four of a single lane half of the commits would be of the first claim that came.
const CALLS: u32 = 64;
/// Claims of one commit at most.
const MAX_BATCH: u32 = 4;
/// What a commit takes: the delay that the statement above sets, and about a millisecond of work.
const COMMIT: Duration = Duration::from_millis(25);
const WAITING_ROOM: &str = "TIDEGATE_WAITING_ROOM";
/// Few connections with many streams are cheapest; but each carries 2,000 streams at most, and a
/// door without a waiting room keeps a flood's calls for seconds.
pub const CONNECTIONS: usize = 12;

/// A running suite whose commits are slow.
pub struct Stage {
    pub stack: Stack,
    _collector: Collector,
    pub staff: Staff,
}

impl Stage {
    /// Starts one on empty databases.
    pub async fn open(folder: &Path, gateways: u16) -> Result<Self> {
        let set =
            |service, name: &str, value: u32| (service, name.to_owned(), Some(value.to_string()));
        let collector = Collector::start().await?;
        let mut stack = Stack::start(StackOptions {
            gateway_replicas: gateways,
            lanes: LANES,
            variables: vec![
                set(Service::Issuance, "TIDEGATE_MAX_BATCH", MAX_BATCH),
                set(Service::Gateway, "TIDEGATE_CALLS_PER_LANE", CALLS),
            ],
            ..suite::options(folder, &collector)
        })
        .await?;
        let mut connection = stack.postgres().superuser().connect().await?;
        let slowed = sqlx::raw_sql(COMMITS_SLOWED).execute(&mut connection).await;
        slowed.context(
            "the commits of issuance cannot be slowed: a superuser of PostgreSQL is needed",
        )?;
        connection.close().await?;
        // The connections that it commits with are as old as it is.
        stack.restart("issuance-0").await?;
        let staff = suite::staff(&stack)?;
        Ok(Self {
            stack,
            _collector: collector,
            staff,
        })
    }

    /// The suite as `deploy/local/run` starts it, on empty databases, with nothing slowed. It gives
    /// way to the generator, or shoppers would come when they can and not when they are to.
    pub async fn as_delivered(folder: &Path) -> Result<Self> {
        let collector = Collector::start().await?;
        let stack = Stack::start(StackOptions {
            reset: true,
            lanes: LANES,
            otlp_endpoint: Some(collector.endpoint()),
            say: tell,
            ..StackOptions::new(folder)
        });
        let stack = stack.await?;
        stack.give_way();
        let staff = suite::staff(&stack)?;
        Ok(Self {
            stack,
            _collector: collector,
            staff,
        })
    }

    /// Claims a second that the settings leave room for; what is served in truth is measured.
    pub fn nominal_per_second() -> f64 {
        f64::from(MAX_BATCH) / COMMIT.as_secs_f64()
    }

    /// Turns the waiting room on or off, by a restart of every gateway. Callers must connect anew.
    pub async fn set_waiting_room(&mut self, is_on: bool) -> Result<()> {
        self.set_gateways(WAITING_ROOM, if is_on { None } else { Some("off") })?;
        for gateway in suite::names(&self.stack, Service::Gateway) {
            self.stack.restart(&gateway).await?;
        }
        Ok(())
    }

    /// Sets a variable of every gateway from its next start on.
    pub fn set_gateways(&mut self, variable: &str, value: Option<&str>) -> Result<()> {
        let gateways = suite::names(&self.stack, Service::Gateway).into_iter();
        let mut set = gateways.map(|name| self.stack.set_variable(&name, variable, value));
        set.try_for_each(|set| set)
    }

    /// Makes a campaign that is open now, with so many coupons of either tier, and waits until
    /// every gateway knows it. Its number.
    pub async fn campaign(&self, campaign_id: &str, stock: (u64, u64)) -> Result<u32> {
        let terms = suite::terms(campaign_id, stock);
        Ok(self.staff.open(terms).await?.campaign_number)
    }

    /// Connections for a crowd that lives on `threads`.
    pub async fn caller(&self, threads: &Handle) -> Result<Arc<Caller>> {
        self.caller_of(suite::SUBJECT, threads).await
    }

    /// The same with a token of this subject.
    pub async fn caller_of(&self, subject: &str, threads: &Handle) -> Result<Arc<Caller>> {
        suite::caller(&self.stack, subject, CONNECTIONS, threads).await
    }

    /// Stops everything and removes its files.
    pub async fn close(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }
}
