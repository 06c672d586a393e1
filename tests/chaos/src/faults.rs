//! What is done to the suite: a plan drawn from the seed, and the hands that carry it out.

mod inflict;
mod plan;

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use tidegate_local::postgres::Stalled;

use crate::{console::name_of, edges::Edge, proxy::Weather};

pub use inflict::{Inflicted, Inflicting};
pub use plan::{Plan, Repertoire};

/// One fault with its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// What it is, in words.
    pub what: String,
    pub deed: Deed,
    /// Until it is undone.
    pub lasts: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL of a service's replica; it starts again afterwards.
    Kill(String),
    /// SIGKILL of all of PostgreSQL; it recovers afterwards.
    KillPostgres,
    /// SIGSTOP of a replica, and SIGCONT.
    Pause(String),
    /// Something is wrong on the way between processes.
    Weather(Vec<Edge>, Weather),
    /// A replica's wall clock is wrong by so many seconds.
    Clock(String, i64),
    /// Each replica in turn is asked to end, and started again.
    RollingRestart,
    /// SIGSTOP of a part of PostgreSQL, and SIGCONT; several times in a row.
    StallPostgres(Stalled, u32),
}

/// A kind of fault, as the report and the command line call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    KillQuota,
    KillIssuance,
    KillOrderIntake,
    KillGateway,
    KillPostgres,
    /// Past the TTL.
    PauseIssuance,
    /// Another service.
    PauseAnother,
    /// Between services.
    Cut,
    CutPostgres,
    Stall,
    Delay,
    /// The gateways.
    Split,
    /// Issuance, past the TTL.
    Silence,
    ClockJump,
    RollingRestart,
    StallQuotaDatabase,
    StallIssuanceDatabase,
    StallOrderIntakeDatabase,
    StallDisk,
}

impl Kind {
    pub fn name(self) -> String {
        name_of(self)
    }

    pub fn is_possible(self) -> bool {
        self != Self::ClockJump || cfg!(target_os = "linux")
    }
}
