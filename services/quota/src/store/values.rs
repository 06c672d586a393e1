//! What several tables hold, and what it is in the domain.

use sqlx::FromRow;
use tidegate_types::{CampaignNumber, ChangeReason, PrintedText, TierNumber, Timestamp};

use crate::domain::{Control, Fence, IssuanceControl, RedemptionControl, TierCounts, TierStock};

/// A value that the schema's constraints exclude.
pub(super) fn decoded<T, E>(value: Result<T, E>) -> Result<T, sqlx::Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A count as the database holds it. Every count is bounded where it comes in, so it fits.
pub(super) fn stored(count: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(count).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A campaign's number as the database holds it: 24 bits fit.
pub(super) fn number(campaign: CampaignNumber) -> i32 {
    campaign.get() as i32
}

pub(super) fn numbers(campaigns: &[CampaignNumber]) -> Vec<i32> {
    campaigns.iter().copied().map(number).collect()
}

pub(super) fn campaigns(numbers: Vec<i32>) -> Result<Vec<CampaignNumber>, sqlx::Error> {
    let numbers = numbers.into_iter();
    let campaigns = numbers.map(|number| decoded(CampaignNumber::new(number)));
    campaigns.collect()
}

pub(super) fn tier_stock(free: i64, leased: i64, settled: i64) -> Result<TierStock, sqlx::Error> {
    Ok(TierStock {
        free: decoded(free.try_into())?,
        leased: decoded(leased.try_into())?,
        settled: decoded(settled.try_into())?,
    })
}

pub(super) fn counts(tiers: &[i16], quantities: &[i64]) -> Result<TierCounts, sqlx::Error> {
    let mut counts = TierCounts::default();
    for (tier, quantity) in tiers.iter().zip(quantities) {
        counts.set(
            decoded(TierNumber::new(*tier))?,
            decoded((*quantity).try_into())?,
        );
    }
    Ok(counts)
}

/// A text for people; none is kept as an empty one.
pub(super) fn printed<const MAX: usize>(
    text: &str,
) -> Result<Option<PrintedText<MAX>>, sqlx::Error> {
    Some(text)
        .filter(|text| !text.is_empty())
        .map(|text| decoded(PrintedText::parse(text)))
        .transpose()
}

/// A text for people as it is kept; none as an empty one.
pub(super) fn text<const MAX: usize>(text: Option<&PrintedText<MAX>>) -> &str {
    text.map_or("", PrintedText::as_str)
}

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

#[derive(FromRow)]
pub(super) struct FenceRow {
    redemption_revision: i64,
    extension_revision: i64,
    fenced_revision: i64,
}

impl TryFrom<FenceRow> for Fence {
    type Error = sqlx::Error;

    fn try_from(row: FenceRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            redemption_revision: decoded(row.redemption_revision.try_into())?,
            extension_revision: decoded(row.extension_revision.try_into())?,
            fenced_revision: decoded(row.fenced_revision.try_into())?,
        })
    }
}
