//! The peer: a giveaway as it is usually built, one row that every claim takes one from, driven by
//! pgbench on the same server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};
use sqlx::Connection;
use tidegate_local::stack::{Service, Stack};
use tokio::process::Command;

use super::{Options, figures::PeerPoint};
use crate::{
    processor_time::{Part, ProcessorTime, Whose},
    suite::Suite,
};

const TABLES: &str = include_str!("../../queries/peer_tables.sql");
const TABLES_DROPPED: &str = include_str!("../../queries/peer_tables_dropped.sql");
const CLAIMS: &str = include_str!("../../queries/peer_claims.sql");
/// How the transaction is written: the way most would, and the shortest there is.
const FORMS: [(&str, &str); 2] = [
    (
        "transaction",
        include_str!("../../queries/peer_transaction.sql"),
    ),
    (
        "statement",
        include_str!("../../queries/peer_statement.sql"),
    ),
];
/// Threads of pgbench; it needs little beside the server.
const THREADS: u32 = 2;

/// Measures both forms with every number of clients, in issuance's own database, while the services
/// stand idle.
pub async fn measure(options: &Options, suite: &Suite) -> Result<Vec<PeerPoint>> {
    let (stack, mut parts) = (&suite.stack, suite.parts()?);
    parts.push(Part::new("pgbench", Whose::EndedChildren));
    let pgbench = find_pgbench(stack)?;
    let url = stack.database_url(Service::Issuance).unwrap_or_default();
    let mut connection = suite.database(Service::Issuance).await?;
    let mut points = Vec::new();
    for (form, script) in FORMS {
        let file = stack.options().data.join(format!("peer-{form}.sql"));
        fs::write(&file, script)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        for clients in &options.pgbench_clients {
            sqlx::raw_sql(TABLES).execute(&mut connection).await?;
            let before = ProcessorTime::read(&parts)?;
            let per_second = run(&pgbench, &url, &file, *clients, options.seconds).await?;
            let after = ProcessorTime::read(&parts)?;
            let (claims, spent): (i64, i64) =
                sqlx::query_as(CLAIMS).fetch_one(&mut connection).await?;
            ensure!(
                claims == spent && claims > 0,
                "pgbench made {claims} claims and spent {spent} coupons for them: the figure would mean nothing."
            );
            points.push(PeerPoint {
                form,
                clients: *clients,
                per_second,
                processor: after.since(&before, u64::try_from(claims)?),
            });
        }
    }
    sqlx::raw_sql(TABLES_DROPPED)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(points)
}

/// The pgbench beside the server that runs, else the one on the PATH.
fn find_pgbench(stack: &Stack) -> Result<PathBuf> {
    let server = stack
        .postgres()
        .process_id()
        .and_then(|process| fs::read_link(format!("/proc/{process}/exe")).ok());
    let beside = server.and_then(|server| Some(server.parent()?.join("pgbench")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    beside
        .into_iter()
        .chain(on_path)
        .find(|program| program.is_file())
        .context("There is no pgbench beside the server or on the PATH: install PostgreSQL's own (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql@18).")
}

/// Transactions a second.
async fn run(pgbench: &Path, url: &str, script: &Path, clients: u32, seconds: u64) -> Result<f64> {
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared"])
        .arg(format!("--client={clients}"))
        .arg(format!("--jobs={}", THREADS.min(clients)))
        .arg(format!("--time={seconds}"))
        .arg(format!("--file={}", script.display()))
        // Not an argument: the password in it would be in every process list.
        .env("PGDATABASE", url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} cannot be run", pgbench.display()))?;
    let words = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), transactions_per_second(&words)) {
        (true, Some(per_second)) => Ok(per_second),
        _ => bail!(
            "pgbench with {clients} clients failed: {words}{}",
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

fn transactions_per_second(words: &str) -> Option<f64> {
    let mut rates = words.lines().filter_map(|line| line.strip_prefix("tps = "));
    rates.next_back()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_prints() {
        let words = "number of failed transactions: 0 (0.000%)\nlatency average = 1.0 ms\ntps = 1234.567 (without initial connection time)\n";
        assert_eq!(transactions_per_second(words), Some(1234.567));
        assert_eq!(transactions_per_second("pgbench: error"), None);
    }
}
