use sqlx::FromRow;
use tidegate_types::{CampaignNumber, ChangeReason, Timestamp};

use super::{Work, campaigns::number, decoded, stored};
use crate::{
    QuotaError,
    domain::{Control, IssuanceControl, RedemptionControl},
};

#[derive(FromRow)]
pub(super) struct ControlRow {
    issuance_control: String,
    redemption_control: String,
    control_reason: String,
    resume_at: Option<Timestamp>,
    control_epoch: i64,
}

impl TryFrom<ControlRow> for Control {
    type Error = sqlx::Error;

    fn try_from(row: ControlRow) -> Result<Self, sqlx::Error> {
        let reason = match row.control_reason.as_str() {
            "" => None,
            reason => Some(decoded(ChangeReason::parse(reason))?),
        };
        Ok(Self {
            issuance: issuance_control(&row.issuance_control)?,
            redemption: redemption_control(&row.redemption_control)?,
            reason,
            resume_at: row.resume_at,
            epoch: decoded(row.control_epoch.try_into())?,
        })
    }
}

pub(super) fn issuance_control(text: &str) -> Result<IssuanceControl, sqlx::Error> {
    match text {
        "OPEN" => Ok(IssuanceControl::Open),
        "QUEUE_ONLY" => Ok(IssuanceControl::QueueOnly),
        "HALTED" => Ok(IssuanceControl::Halted),
        _ => Err(unknown("issuance_control", text)),
    }
}

fn redemption_control(text: &str) -> Result<RedemptionControl, sqlx::Error> {
    match text {
        "OPEN" => Ok(RedemptionControl::Open),
        "HALTED" => Ok(RedemptionControl::Halted),
        _ => Err(unknown("redemption_control", text)),
    }
}

/// A text that the column's constraint excludes.
pub(super) fn unknown(column: &str, text: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} holds {text:?}, which this version does not know").into())
}

/// What decides whether stock of a campaign is lent.
pub struct Lending {
    pub closes_at: Timestamp,
    /// Whether it is over whatever a clock says: staff ended it, or it is retired.
    pub is_over: bool,
    /// How many tiers it has.
    pub tier_count: usize,
    /// What staff have said of it.
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
        sqlx::query(include_str!("../../queries/set_control.sql"))
            .bind(number(campaign))
            .bind(control.issuance.name())
            .bind(control.redemption.name())
            .bind(reason)
            .bind(control.resume_at)
            .bind(stored(control.epoch)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Extends the validity and grows the revision, in a transaction that holds the campaign's locks.
    pub async fn extend_validity(
        &mut self,
        campaign: CampaignNumber,
        valid_until: Timestamp,
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/extend_validity.sql"))
            .bind(number(campaign))
            .bind(valid_until)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
