//! What is done to the suite: a plan drawn from the seed, and the hands that carry it out.

mod inflict;
mod plan;

use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use tidegate_local::postgres::Stalled;

use crate::edges::Edge;

pub use inflict::{Inflicted, Inflicting};
pub use plan::{Plan, Repertoire};

/// One fault with its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of a service's replica; it starts again after a while.
    Kill { replica: String, away: Duration },
    /// SIGKILL of all of PostgreSQL; it recovers after a while.
    KillPostgres { away: Duration },
    /// SIGSTOP of a replica, and SIGCONT.
    Pause { replica: String, still: Duration },
    /// Each connection of an edge ends after a random number of bytes, and so does each that follows.
    Cut { edge: Edge, lasts: Duration },
    /// Nothing moves on an edge and nothing ends.
    Stall { edge: Edge, lasts: Duration },
    /// Everything on an edge comes late.
    Delay {
        edge: Edge,
        there: Duration,
        back: Duration,
        lasts: Duration,
    },
    /// Each gateway can reach another issuance than the other gateway.
    Split { lasts: Duration },
    /// Quota hears nothing of an issuance that goes on.
    Silence { replica: String, lasts: Duration },
    /// A replica's wall clock is wrong for a while.
    ClockJump {
        replica: String,
        offset_seconds: i64,
        lasts: Duration,
    },
    /// Each replica in turn is asked to end, and started again.
    RollingRestart,
    /// SIGSTOP of a part of PostgreSQL, and SIGCONT; several times in a row.
    StallPostgres {
        stalled: Stalled,
        lasts: Duration,
        times: u32,
    },
}

/// A kind of fault, as the report counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// See [`Fault::Kill`].
    KillQuota,
    /// See [`Fault::Kill`].
    KillIssuance,
    /// See [`Fault::Kill`].
    KillOrderIntake,
    /// See [`Fault::Kill`].
    KillGateway,
    /// See [`Fault::KillPostgres`].
    KillPostgres,
    /// See [`Fault::Pause`]: past the lease TTL.
    PauseIssuance,
    /// See [`Fault::Pause`].
    PauseAnother,
    /// See [`Fault::Cut`].
    Cut,
    /// See [`Fault::Cut`]: between a service and its database, in the middle of commits.
    CutPostgres,
    /// See [`Fault::Stall`].
    Stall,
    /// See [`Fault::Delay`].
    Delay,
    /// See [`Fault::Split`].
    Split,
    /// See [`Fault::Silence`]: past the lease TTL.
    Silence,
    /// See [`Fault::ClockJump`].
    ClockJump,
    /// See [`Fault::RollingRestart`].
    RollingRestart,
    /// See [`Fault::StallPostgres`].
    StallQuotaDatabase,
    /// See [`Fault::StallPostgres`].
    StallIssuanceDatabase,
    /// See [`Fault::StallPostgres`].
    StallOrderIntakeDatabase,
    /// See [`Fault::StallPostgres`].
    StallDisk,
}

impl Kind {
    /// Every kind that a full round has.
    pub const ALL: [Self; 19] = [
        Self::KillQuota,
        Self::KillIssuance,
        Self::KillOrderIntake,
        Self::KillGateway,
        Self::KillPostgres,
        Self::PauseIssuance,
        Self::PauseAnother,
        Self::Cut,
        Self::CutPostgres,
        Self::Stall,
        Self::Delay,
        Self::Split,
        Self::Silence,
        Self::ClockJump,
        Self::RollingRestart,
        Self::StallQuotaDatabase,
        Self::StallIssuanceDatabase,
        Self::StallOrderIntakeDatabase,
        Self::StallDisk,
    ];

    /// Whether this machine can do it.
    pub fn is_possible(self) -> bool {
        self != Self::ClockJump || cfg!(target_os = "linux")
    }

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillQuota => "kill quota",
            Self::KillIssuance => "kill issuance",
            Self::KillOrderIntake => "kill order-intake",
            Self::KillGateway => "kill gateway",
            Self::KillPostgres => "kill PostgreSQL",
            Self::PauseIssuance => "pause issuance past the TTL",
            Self::PauseAnother => "pause another service",
            Self::Cut => "cut between services",
            Self::CutPostgres => "cut to PostgreSQL",
            Self::Stall => "stall",
            Self::Delay => "delay",
            Self::Split => "split gateways",
            Self::Silence => "silence issuance past the TTL",
            Self::ClockJump => "clock jump",
            Self::RollingRestart => "rolling restart",
            Self::StallQuotaDatabase => "stall quota's database",
            Self::StallIssuanceDatabase => "stall issuance's database",
            Self::StallOrderIntakeDatabase => "stall order-intake's database",
            Self::StallDisk => "stall the disk",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { replica, .. } => write!(out, "kill {replica}"),
            Self::KillPostgres { .. } => write!(out, "kill PostgreSQL"),
            Self::Pause { replica, still } => {
                write!(out, "pause {replica} for {} ms", still.as_millis())
            }
            Self::Cut { edge, .. } => write!(out, "cut {edge}"),
            Self::Stall { edge, .. } => write!(out, "stall {edge}"),
            Self::Delay {
                edge, there, back, ..
            } => write!(
                out,
                "delay {edge} by {} and {} ms",
                there.as_millis(),
                back.as_millis()
            ),
            Self::Split { .. } => write!(out, "split the gateways"),
            Self::Silence { replica, .. } => write!(out, "silence {replica} towards quota"),
            Self::ClockJump {
                replica,
                offset_seconds,
                ..
            } => {
                write!(out, "move the clock of {replica} by {offset_seconds} s")
            }
            Self::RollingRestart => write!(out, "rolling restart"),
            Self::StallPostgres {
                stalled,
                lasts,
                times,
            } => write!(
                out,
                "stall {stalled:?} {times} times for {} ms",
                lasts.as_millis()
            ),
        }
    }
}
