//! The gateway process.

use std::process::ExitCode;

use tidegate_auth::{Identity, PeerRequirement};
use tidegate_gateway::{build, config::Config};

fn main() -> ExitCode {
    // There is no database here, so there is nothing to migrate.
    let migrate = |_: Config| std::future::ready(Ok(()));
    tidegate_runtime::run(
        Identity::Gateway,
        PeerRequirement::CertificateOptional,
        Config::read,
        migrate,
        build,
    )
}
