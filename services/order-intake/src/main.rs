//! The order-intake process.

use std::process::ExitCode;

use tidegate_auth::{Identity, PeerRequirement};
use tidegate_order_intake::{Config, build, migrate};

fn main() -> ExitCode {
    tidegate_runtime::run(
        Identity::OrderIntake,
        PeerRequirement::Certificate,
        Config::read,
        migrate,
        build,
    )
}
