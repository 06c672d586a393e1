use std::time::Duration;

/// How a service's database is, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseState {
    /// How long a new connection and its first answers took.
    pub round_trip: Duration,
    /// Such as `18.3`.
    pub server_version: String,
    /// The newest migration that is applied.
    pub schema_version: i64,
    /// The newest migration that the program knows.
    pub program_schema_version: i64,
    /// Whether the service's role can only add to the record of what staff change.
    pub change_log_is_protected: bool,
}
