//! The issuance process.

use std::process::ExitCode;

use tidegate_auth::{Identity, PeerRequirement};
use tidegate_issuance::{build, config::Config, migrate};

fn main() -> ExitCode {
    tidegate_runtime::run(
        Identity::Issuance,
        PeerRequirement::Certificate,
        Config::read,
        migrate,
        build,
    )
}
