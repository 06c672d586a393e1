//! The database's timeline, and what a new one takes away.

use sqlx::{Connection as _, PgConnection, PgPool};
use tidegate_types::Lane;

use super::{
    lane_number,
    leases::{seal_in, unsettled},
};

/// A timeline of the database: another one begins when a standby is promoted or a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline(pub(super) i32);

/// The timeline on which a lane was committed to last, if there was a commit.
pub async fn read(pool: &PgPool, lane: Lane) -> sqlx::Result<Option<Timeline>> {
    let timeline: Option<i32> = sqlx::query_scalar(include_str!("../../queries/read_timeline.sql"))
        .bind(lane_number(lane))
        .fetch_optional(pool)
        .await?;
    Ok(timeline.map(Timeline))
}

/// Seals every open lease of a lane if the database has begun another timeline since the lane's last commit, and tells how many there were. Where none is known, the first is noted.
pub async fn follow(connection: &mut PgConnection, lane: Lane) -> sqlx::Result<usize> {
    let (current, last): (i32, Option<i32>) =
        sqlx::query_as(include_str!("../../queries/compare_timelines.sql"))
            .bind(lane_number(lane))
            .fetch_one(&mut *connection)
            .await?;
    if last == Some(current) {
        return Ok(0);
    }
    let mut transaction = connection.begin().await?;
    let noted: Option<i16> = sqlx::query_scalar(include_str!("../../queries/follow_timeline.sql"))
        .bind(lane_number(lane))
        .bind(current)
        .fetch_optional(&mut *transaction)
        .await?;
    let open = match (noted, last) {
        (Some(_), Some(_)) => unsettled(&mut *transaction, lane, false, None).await?,
        (None, _) | (_, None) => Vec::new(),
    };
    seal_in(&mut transaction, lane, &open).await?;
    transaction.commit().await?;
    Ok(open.len())
}
