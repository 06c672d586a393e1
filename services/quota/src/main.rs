//! The quota service's process.

use std::process::ExitCode;

use tidegate_auth::{Identity, PeerRequirement};
use tidegate_quota::{Config, build, migrate};

fn main() -> ExitCode {
    tidegate_runtime::run(
        Identity::Quota,
        PeerRequirement::Certificate,
        Config::read,
        migrate,
        build,
    )
}
