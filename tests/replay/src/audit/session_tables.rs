//! Brings what is known elsewhere into a database as temporary tables, so that one join counts what is missing.

use anyhow::Result;
use sqlx::{Executor, PgConnection};

const CHUNK: usize = 10_000;

pub(super) async fn make(connection: &mut PgConnection) -> Result<()> {
    let tables = include_str!("../../queries/session_tables.sql");
    connection.execute(tables).await?;
    Ok(())
}

/// Fills a table. Rows are in the text format of COPY, which parts columns by tabs; ids hold nothing that it would want escaped.
pub(super) async fn fill(
    connection: &mut PgConnection,
    table: &str,
    rows: impl Iterator<Item = String>,
) -> Result<()> {
    let mut rows = rows.peekable();
    let statement = format!("COPY {table} FROM STDIN");
    let mut copy = connection.copy_in_raw(&statement).await?;
    while rows.peek().is_some() {
        let chunk = rows.by_ref().take(CHUNK);
        let chunk: String = chunk.map(|row| row + "\n").collect();
        copy.send(chunk.as_bytes()).await?;
    }
    copy.finish().await?;
    connection.execute(&*format!("ANALYZE {table}")).await?;
    Ok(())
}
