//! The suite with a ceiling well below what the generator can offer tenfold.
//!
//! Suite and generator share the machine, so ten times what the machine itself can serve cannot be
//! offered honestly. Here issuance's commits are slow, by PostgreSQL's own `commit_delay`, and
//! small: what can be served is set by waiting and not by processors, and whatever the flood costs
//! in processor time is there to be had.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{ConnectOptions, Connection};
use tidegate_local::stack::{Service, StackOptions};

use super::{Site, Suite};

const COMMITS_SLOWED: &str = include_str!("../../queries/commits_slowed.sql");
/// Calls of one gateway that are under way at issuance: as many as by default with sixteen lanes.
/// With the four of a single lane half of the commits would be of the first claim that came.
const CALLS: u32 = 64;
/// Claims of one commit at most.
const MAX_BATCH: u32 = 4;
/// What a commit takes: the delay that the statement above sets, and about a millisecond of work.
const COMMIT: Duration = Duration::from_millis(25);

/// Claims a second that the settings leave room for; what is served in truth is measured.
pub fn nominal_per_second() -> f64 {
    f64::from(MAX_BATCH) / COMMIT.as_secs_f64()
}

impl Suite {
    /// Starts one whose commits are slow.
    pub async fn slowed(site: &Site, gateways: u16) -> Result<Self> {
        let set =
            |service, name: &str, value: u32| (service, name.to_owned(), Some(value.to_string()));
        let mut suite = Self::start(site, |options| StackOptions {
            gateway_replicas: gateways,
            variables: vec![
                set(Service::Issuance, "TIDEGATE_MAX_BATCH", MAX_BATCH),
                set(Service::Gateway, "TIDEGATE_CALLS_PER_LANE", CALLS),
            ],
            ..options
        })
        .await?;
        let mut connection = suite.stack.postgres().superuser().connect().await?;
        let slowed = sqlx::raw_sql(COMMITS_SLOWED).execute(&mut connection).await;
        slowed.context(
            "the commits of issuance cannot be slowed: a superuser of PostgreSQL is needed",
        )?;
        connection.close().await?;
        // The connections that it commits with are as old as it is.
        suite.stack.restart("issuance-0").await?;
        Ok(suite)
    }

    /// Turns the waiting room on or off, by a restart of every gateway. Callers must connect anew.
    pub async fn set_waiting_room(&mut self, is_on: bool) -> Result<()> {
        let value = if is_on { None } else { Some("off") };
        self.set_gateways("TIDEGATE_WAITING_ROOM", value)?;
        for gateway in self.names(Service::Gateway) {
            self.stack.restart(&gateway).await?;
        }
        Ok(())
    }

    /// Sets a variable of every gateway from its next start on.
    pub fn set_gateways(&mut self, variable: &str, value: Option<&str>) -> Result<()> {
        let gateways = self.names(Service::Gateway).into_iter();
        let mut set = gateways.map(|name| self.stack.set_variable(&name, variable, value));
        set.try_for_each(|set| set)
    }
}
