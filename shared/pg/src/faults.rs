/// What a database error means for the work that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Somebody else wrote the same rows at the same time; nothing was written. Doing it again will see what they wrote.
    Conflict,
    /// The connection broke or the server is going away. Whether a commit happened is not known; doing it again over a new connection resolves it, if the statement is idempotent.
    ConnectionLost,
    /// The statement itself is at fault; doing it again will not help.
    Statement,
}

/// Sorts an error by SQLSTATE.
pub fn fault(error: &sqlx::Error) -> Fault {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Fault::ConnectionLost,
            _ => Fault::Statement,
        };
    };
    match database.code().as_deref() {
        // unique_violation, exclusion_violation, serialization_failure, deadlock_detected
        Some("23505" | "23P01" | "40001" | "40P01") => Fault::Conflict,
        // Classes: connection exception, insufficient resources, operator intervention, system error; then a standby that has not been promoted yet, read-only after a failover, and idle in a transaction for too long, which ends the session.
        Some(code)
            if ["08", "53", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class))
                || ["25006", "25P03", "55000"].contains(&code) =>
        {
            Fault::ConnectionLost
        }
        _ => Fault::Statement,
    }
}

/// The name of the constraint that refused a row.
pub fn constraint(error: &sqlx::Error) -> Option<&str> {
    error
        .as_database_error()
        .and_then(|database| database.constraint())
}
