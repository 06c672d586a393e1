//! What PostgreSQL has done for the services.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use sqlx::{ConnectOptions, Connection};
use tidegate_local::stack::Stack;

use crate::outcomes::Outcomes;

const DATABASE_WORK: &str = include_str!("../../queries/database_work.sql");
const WAL_POSITION: &str = include_str!("../../queries/wal_position.sql");

#[derive(Debug, Clone, Default)]
pub struct DatabaseWork {
    commits: BTreeMap<String, i64>,
    rows_written: i64,
    wal_bytes: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Done {
    pub commits_per_second: BTreeMap<String, f64>,
    pub rows_written_each: f64,
    pub wal_bytes_each: f64,
}

impl DatabaseWork {
    /// Reads the server's counters, which sessions add to about once a second.
    pub async fn read(stack: &Stack) -> Result<Self> {
        let mut connection = stack.postgres().superuser().connect().await?;
        let databases: Vec<(String, i64, i64)> = sqlx::query_as(DATABASE_WORK)
            .fetch_all(&mut connection)
            .await?;
        let wal_bytes = sqlx::query_scalar(WAL_POSITION)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            rows_written: databases.iter().map(|(_, _, rows)| rows).sum(),
            commits: databases
                .into_iter()
                .map(|(name, commits, _)| (name, commits))
                .collect(),
            wal_bytes,
        })
    }

    /// What was done since `before`, for what ended as it should in between.
    pub fn since(&self, before: &Self, outcomes: &Outcomes) -> Done {
        let each = |count: i64| count as f64 / outcomes.good.max(1) as f64;
        Done {
            commits_per_second: self
                .commits
                .iter()
                .map(|(name, commits)| {
                    let earlier = before.commits.get(name).copied().unwrap_or_default();
                    (name.clone(), (commits - earlier) as f64 / outcomes.seconds)
                })
                .collect(),
            rows_written_each: each(self.rows_written - before.rows_written),
            wal_bytes_each: each(self.wal_bytes - before.wal_bytes),
        }
    }
}
