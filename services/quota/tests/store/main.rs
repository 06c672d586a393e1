//! The use cases, and the service as a whole, on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

/// An outcome that has to be this refusal.
macro_rules! refused {
    ($outcome:expr, $error:pat $(if $guard:expr)?) => {
        match $outcome {
            Err($error) $(if $guard)? => {}
            other => panic!("{other:?}"),
        }
    };
}

mod audit;
mod campaigns;
mod changes;
mod control;
mod ending;
mod giveaway;
mod halt;
mod halt_all;
mod history;
mod issuance;
mod leases;
mod queues;
mod reclaim;
mod service;
mod silence;
mod staff;
mod standing;
mod updates;
mod watch;
