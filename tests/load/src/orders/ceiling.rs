//! The ceiling of this machine's disk and PostgreSQL: the rows of an order, inserted in batches and
//! committed, with nothing around it.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::{ConnectOptions, Connection};
use tidegate_local::stack::Stack;

const SCHEMA: &str = include_str!("../../queries/orders_ceiling_schema.sql");
const INSERT: &str = include_str!("../../queries/orders_ceiling_insert.sql");
const DROP: &str = include_str!("../../queries/orders_ceiling_drop.sql");
const MEASURED: Duration = Duration::from_secs(5);
/// Orders of one commit: about as many as gather at the peak.
pub const BATCH: i64 = 100;

/// Orders a second.
pub async fn measure(stack: &Stack) -> Result<f64> {
    let mut connection = stack.postgres().superuser().connect().await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    let began = Instant::now();
    let mut orders = 0;
    while began.elapsed() < MEASURED {
        sqlx::query(INSERT)
            .bind(orders)
            .bind(orders + BATCH - 1)
            .execute(&mut connection)
            .await?;
        orders += BATCH;
    }
    let orders_per_second = orders as f64 / began.elapsed().as_secs_f64();
    sqlx::raw_sql(DROP).execute(&mut connection).await?;
    connection.close().await?;
    Ok(orders_per_second)
}
