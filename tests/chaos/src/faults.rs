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
    /// Each connection of an edge ends after a random number of bytes, and so does each that
    /// follows.
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

macro_rules! kinds {
    ($($kind:ident = $name:literal,)+) => {
        /// A kind of fault, as the report counts them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($kind,)+
        }

        impl Kind {
            /// Every kind that a full round has.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Its name in the report.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    KillQuota = "kill quota",
    KillIssuance = "kill issuance",
    KillOrderIntake = "kill order-intake",
    KillGateway = "kill gateway",
    KillPostgres = "kill PostgreSQL",
    PauseIssuance = "pause issuance past the TTL",
    PauseAnother = "pause another service",
    Cut = "cut between services",
    CutPostgres = "cut to PostgreSQL",
    Stall = "stall",
    Delay = "delay",
    Split = "split gateways",
    Silence = "silence issuance past the TTL",
    ClockJump = "clock jump",
    RollingRestart = "rolling restart",
    StallQuotaDatabase = "stall quota's database",
    StallIssuanceDatabase = "stall issuance's database",
    StallOrderIntakeDatabase = "stall order-intake's database",
    StallDisk = "stall the disk",
}

impl Kind {
    /// Whether this machine can do it.
    pub fn is_possible(self) -> bool {
        self != Self::ClockJump || cfg!(target_os = "linux")
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
