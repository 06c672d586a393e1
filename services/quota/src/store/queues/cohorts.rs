use sqlx::FromRow;
use tidegate_types::CampaignNumber;

use super::rows::cohort;
use crate::{
    QuotaError,
    domain::{Cohort, CohortChange, CohortCounts, CohortStanding, Waiting},
    store::{Work, campaigns::number, decoded, stored},
};

/// Cohorts that one move looks at. A move never needs more unless fewer than this joined in as many seconds.
const MAX_WAITING_COHORTS: u32 = 1_000;

#[derive(FromRow)]
struct WaitingRow {
    cohort: i64,
    joined_count: i64,
    left_count: i64,
    waiting: i64,
}

#[derive(FromRow)]
struct CohortRow {
    cohort: i64,
    joined_count: i64,
    left_count: i64,
    due_second: Option<i64>,
    version: i64,
}

fn counts(number: i64, joined: i64, left: i64) -> Result<CohortCounts, sqlx::Error> {
    Ok(CohortCounts {
        cohort: cohort(number)?,
        joined: decoded(joined.try_into())?,
        left: decoded(left.try_into())?,
    })
}

impl TryFrom<CohortRow> for CohortStanding {
    type Error = sqlx::Error;

    fn try_from(row: CohortRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            counts: counts(row.cohort, row.joined_count, row.left_count)?,
            due_second: row
                .due_second
                .map(|due| decoded(due.try_into()))
                .transpose()?,
            version: decoded(row.version.try_into())?,
        })
    }
}

impl Work {
    /// Adds to cohorts, each change with the next version after `version`; in a transaction that holds the queue's lock.
    pub async fn add_to_cohorts(
        &mut self,
        campaign: CampaignNumber,
        changes: &[CohortChange],
        version: u64,
    ) -> Result<(), QuotaError> {
        let column = |of: fn(&CohortChange) -> u64| {
            let values = changes.iter().map(|change| stored(of(change)));
            values.collect::<Result<Vec<_>, _>>()
        };
        let due = changes
            .iter()
            .map(|change| change.due_second.map(stored).transpose());
        sqlx::query(include_str!("../../../queries/add_to_cohorts.sql"))
            .bind(number(campaign))
            .bind(column(|change| change.cohort.get())?)
            .bind(column(|change| change.joined)?)
            .bind(column(|change| change.left)?)
            .bind(due.collect::<Result<Vec<_>, _>>()?)
            .bind(stored(version)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The cohorts from this one on, which are those that are not wholly due.
    pub async fn waiting_cohorts(
        &mut self,
        campaign: CampaignNumber,
        from: Cohort,
    ) -> Result<Waiting, QuotaError> {
        let rows: Vec<WaitingRow> =
            sqlx::query_as(include_str!("../../../queries/waiting_cohorts.sql"))
                .bind(number(campaign))
                .bind(stored(from.get())?)
                .bind(i64::from(MAX_WAITING_COHORTS))
                .fetch_all(self.connection())
                .await?;
        let tickets = rows.first().map_or(0, |row| row.waiting);
        let first = rows
            .iter()
            .map(|row| counts(row.cohort, row.joined_count, row.left_count));
        Ok(Waiting {
            first: first.collect::<Result<_, _>>()?,
            is_whole: rows.len() < MAX_WAITING_COHORTS as usize,
            tickets: decoded::<u64, _>(tickets.try_into())?,
        })
    }

    /// Notes that cohorts are wholly due, each change with the next version after `version`; in a transaction that holds the queue's lock.
    pub async fn mark_cohorts_due(
        &mut self,
        campaign: CampaignNumber,
        passed: &[Cohort],
        due_second: u64,
        version: u64,
    ) -> Result<(), QuotaError> {
        let passed = passed.iter().map(|cohort| stored(cohort.get()));
        sqlx::query(include_str!("../../../queries/mark_cohorts_due.sql"))
            .bind(number(campaign))
            .bind(passed.collect::<Result<Vec<_>, _>>()?)
            .bind(stored(due_second)?)
            .bind(stored(version)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// At most `limit` cohorts that changed after a version, in the order of their changes.
    pub async fn changed_cohorts(
        &mut self,
        campaign: CampaignNumber,
        version: u64,
        limit: usize,
    ) -> Result<Vec<CohortStanding>, QuotaError> {
        let rows: Vec<CohortRow> =
            sqlx::query_as(include_str!("../../../queries/changed_cohorts.sql"))
                .bind(number(campaign))
                .bind(stored(version)?)
                .bind(stored(limit as u64)?)
                .fetch_all(self.connection())
                .await?;
        let changed = rows.into_iter().map(CohortStanding::try_from);
        Ok(changed.collect::<Result<_, _>>()?)
    }

    /// Forgets at most `limit` cohorts before `end` whose turns had come before the second `due_before` of serving time, or all if the campaign is over; in a transaction that holds the queue's lock.
    pub async fn forget_cohorts(
        &mut self,
        campaign: CampaignNumber,
        end: Cohort,
        due_before: u64,
        is_over: bool,
        limit: u32,
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../../queries/forget_cohorts.sql"))
            .bind(number(campaign))
            .bind(stored(end.get())?)
            .bind(stored(due_before)?)
            .bind(i64::from(limit))
            .bind(is_over)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
