//! How every service process starts, shows its state, and stops.

mod admin;
mod allocator;
mod detached_work;
mod environment;
mod host;
mod processor_wait;
mod program;
mod settings;
mod supervisor;

pub use detached_work::{DetachedWork, WorkLost};
pub use environment::{ConfigFault, Environment};
pub use host::{Host, Service};
pub use processor_wait::ProcessorWait;
pub use program::{Failure, run};
pub use settings::{HostSettings, read_token_settings};
pub use supervisor::{Supervisor, TaskEnded};
