use sqlx::FromRow;
use tidegate_types::{CampaignNumber, ChangeReason, Timestamp};

use super::{
    Work,
    values::{ControlRow, decoded, number, stored},
};
use crate::{domain::Control, error::QuotaError};

/// What decides whether stock of a campaign is lent.
pub struct Lending {
    pub closes_at: Timestamp,
    /// Whether it is over whatever a clock says: staff ended it, or it is retired.
    pub is_over: bool,
    pub tier_count: usize,
    pub control: Control,
}

#[derive(FromRow)]
struct LendingRow {
    closes_at: Timestamp,
    is_over: bool,
    tier_count: i64,
    #[sqlx(flatten)]
    control: ControlRow,
}

impl Work {
    /// What decides whether stock of a campaign is lent, in a transaction that holds its locks; `None` if there is no such campaign.
    pub async fn lending(
        &mut self,
        campaign: CampaignNumber,
    ) -> Result<Option<Lending>, QuotaError> {
        let row: Option<LendingRow> =
            sqlx::query_as(include_str!("../../queries/read_lending.sql"))
                .bind(number(campaign))
                .fetch_optional(self.connection())
                .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Lending {
            closes_at: row.closes_at,
            is_over: row.is_over,
            tier_count: decoded(row.tier_count.try_into())?,
            control: row.control.try_into()?,
        }))
    }

    /// Changes the control and the revision, in a transaction that holds the campaign's locks.
    pub async fn set_control(
        &mut self,
        campaign: CampaignNumber,
        control: &Control,
    ) -> Result<(), QuotaError> {
        let reason = control.reason.as_ref().map_or("", ChangeReason::as_str);
        let statement = sqlx::query(include_str!("../../queries/set_control.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(control.issuance.name())
                .bind(control.redemption.name())
                .bind(reason)
                .bind(control.resume_at)
                .bind(stored(control.epoch)?),
        )
        .await
    }

    /// Extends the validity and grows the revision, in a transaction that holds the campaign's locks.
    pub async fn extend_validity(
        &mut self,
        campaign: CampaignNumber,
        valid_until: Timestamp,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/extend_validity.sql"));
        self.run(statement.bind(number(campaign)).bind(valid_until))
            .await
    }
}
