use tracing_subscriber::EnvFilter;

/// The log filter could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a log filter such as `info` or `info,tidegate_issuance=debug`")]
pub struct InvalidLogFilter(String);

/// Writes JSON lines to standard error, for the whole process. To be called once, by a binary.
///
/// Under `info`, libraries are heard from `warn` on: their own `info` lines are written for their makers, not for whoever is on call.
pub fn init_logs(filter: &str) -> Result<(), InvalidLogFilter> {
    // A bare level speaks of Tidegate's own crates; the filter matches their names by prefix.
    let directives = match filter {
        "trace" | "debug" | "info" => format!("warn,tidegate={filter}"),
        other => other.to_owned(),
    };
    let filter = EnvFilter::builder()
        .parse(&directives)
        .map_err(|_| InvalidLogFilter(filter.to_owned()))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| InvalidLogFilter(error.to_string()))
}
