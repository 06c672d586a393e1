//! How every service process starts, shows its state, and stops.

mod admin;
mod environment;
mod host;
mod program;
mod settings;

pub use environment::{ConfigFault, Environment};
pub use host::{Host, Service};
pub use program::{Failure, run};
pub use settings::{HostSettings, read_token_settings};
