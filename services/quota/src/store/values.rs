//! What several tables hold, and what it is in the domain.

use std::{error::Error, iter::zip};

use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{CampaignNumber, Cohort, Lane, Lanes, PrintedText, TierNumber, Turn};

use crate::domain::{
    Control, Fence, IssuanceControl, RedemptionControl, TierCounts, TierStock, text,
};

/// What is read of a row. An error says that the schema and this version do not fit.
pub(super) type Read<T> = Result<T, sqlx::Error>;

/// A value that the schema's constraints exclude.
pub(super) fn decoded<T, E: Error + Send + Sync + 'static>(value: Result<T, E>) -> Read<T> {
    value.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A count as the database holds it. Every count is bounded where it comes in, so it fits.
pub(super) fn stored(count: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(count).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A column of counts, as UNNEST takes it.
pub(super) fn stored_all(counts: impl Iterator<Item = u64>) -> Result<Vec<i64>, sqlx::Error> {
    counts.map(stored).collect()
}

/// A campaign's number as the database holds it: 24 bits fit.
pub(super) fn number(campaign: CampaignNumber) -> i32 {
    campaign.get() as i32
}

pub(super) fn numbers(campaigns: &[CampaignNumber]) -> Vec<i32> {
    campaigns.iter().copied().map(number).collect()
}

pub(super) fn campaign_number(row: &PgRow) -> Read<CampaignNumber> {
    decoded(CampaignNumber::new(
        row.try_get::<i32, _>("campaign_number")?,
    ))
}

pub(super) fn lane(row: &PgRow) -> Read<Lane> {
    let lane: i16 = row.try_get("lane")?;
    decoded(Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(lane)))
}

pub(super) fn count(row: &PgRow, column: &str) -> Read<u64> {
    decoded(row.try_get::<i64, _>(column)?.try_into())
}

pub(super) fn count_list(row: &PgRow, column: &str) -> Read<Vec<u64>> {
    let counts: Vec<i64> = row.try_get(column)?;
    decoded(counts.into_iter().map(u64::try_from).collect())
}

pub(super) fn parsed<T, E: Error + Send + Sync + 'static>(
    row: &PgRow,
    column: &str,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Read<T> {
    decoded(parse(row.try_get(column)?))
}

/// One of the names that the column's constraint allows.
pub(super) fn named<T>(row: &PgRow, column: &str, by_name: fn(&str) -> Option<T>) -> Read<T> {
    let name: &str = row.try_get(column)?;
    let unknown = || format!("{column} holds {name:?}, which this version does not know");
    by_name(name).ok_or_else(|| sqlx::Error::Decode(unknown().into()))
}

/// A text for people; none is kept as an empty one.
pub(super) fn printed<const MAX: usize>(
    row: &PgRow,
    column: &str,
) -> Read<Option<PrintedText<MAX>>> {
    decoded(text::given(row.try_get(column)?))
}

pub(super) fn turn(row: &PgRow) -> Read<Turn> {
    let draw: i64 = row.try_get("watermark_draw")?;
    Ok(Turn {
        cohort: decoded(Cohort::new(count(row, "watermark_cohort")?))?,
        draw: decoded(draw.try_into())?,
    })
}

pub(super) fn tier_stock(row: &PgRow) -> Read<TierStock> {
    Ok(TierStock {
        free: count(row, "free")?,
        leased: count(row, "leased")?,
        settled: count(row, "settled")?,
    })
}

/// Counts of the tiers that the row names beside them.
pub(super) fn tier_counts(row: &PgRow, column: &str) -> Read<TierCounts> {
    let tiers: Vec<i16> = row.try_get("tier_numbers")?;
    numbered(tiers, count_list(row, column)?)
}

pub(super) fn first_tier_counts(row: &PgRow, column: &str) -> Read<TierCounts> {
    numbered(0.., count_list(row, column)?)
}

fn numbered(tiers: impl IntoIterator<Item = i16>, quantities: Vec<u64>) -> Read<TierCounts> {
    let counts = zip(tiers, quantities);
    counts
        .map(|(tier, quantity)| Ok((decoded(TierNumber::new(tier))?, quantity)))
        .collect()
}

pub(super) fn issuance_control(row: &PgRow) -> Read<IssuanceControl> {
    named(row, "issuance_control", IssuanceControl::from_name)
}

pub(super) fn control(row: &PgRow) -> Read<Control> {
    Ok(Control {
        issuance: issuance_control(row)?,
        redemption: named(row, "redemption_control", RedemptionControl::from_name)?,
        reason: printed(row, "control_reason")?,
        resume_at: row.try_get("resume_at")?,
        epoch: count(row, "control_epoch")?,
    })
}

pub(super) fn fence(row: &PgRow) -> Read<Fence> {
    Ok(Fence {
        redemption_revision: count(row, "redemption_revision")?,
        extension_revision: count(row, "extension_revision")?,
        fenced_revision: count(row, "fenced_revision")?,
    })
}
