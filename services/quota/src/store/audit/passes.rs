use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use uuid::Uuid;

use crate::{
    domain::{PassSums, TierCounts},
    error::QuotaError,
    store::{
        Work,
        values::{counts, decoded, number, stored},
    },
};

#[derive(Debug, Clone, Default)]
pub struct KeptPass {
    /// The pass under way: where it goes on, when it began, and what it has added up.
    pub under_way: Option<(Uuid, Timestamp, PassSums)>,
    /// When the last pass over all leases began.
    pub complete_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct SavedAudit {
    pub audited_at: Timestamp,
    /// Leases compared of the newest ones.
    pub leases_compared: u64,
    /// Leases that this left out.
    pub leases_left_out: u64,
    /// What was found in the newest ones.
    pub differences: u64,
    /// The pass under way, if one is.
    pub under_way: Option<(Uuid, Timestamp, PassSums)>,
    /// The pass that has just gone over all leases: when it began, and what it added up.
    pub complete: Option<(Timestamp, PassSums)>,
}

/// What was audited last of a campaign.
#[derive(Debug, Clone)]
pub struct ShownAudit {
    pub campaign: CampaignId,
    /// Whether it is one that is audited again and again.
    pub is_current: bool,
    /// Since it was audited last.
    pub age: Duration,
    /// Since the last pass over all leases began; since the campaign was made if there was none.
    pub complete_age: Duration,
    /// Leases compared of the newest ones.
    pub leases_compared: u64,
    /// Leases that this left out.
    pub leases_left_out: u64,
    /// What was found, in the newest leases, in the pass under way or in the last complete one, whichever is more.
    pub differences: u64,
}

#[derive(FromRow)]
struct PassRow {
    pass_from: Option<Uuid>,
    pass_began_at: Option<Timestamp>,
    pass_leases: i64,
    pass_differences: i64,
    pass_settled_before: Vec<i64>,
    pass_settled_used: Vec<i64>,
    pass_coupons: Vec<i64>,
    pass_is_final: bool,
    complete_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct ShownRow {
    campaign_id: String,
    is_current: bool,
    audited_seconds_ago: f64,
    complete_seconds_ago: f64,
    leases_compared: i64,
    leases_left_out: i64,
    differences: i64,
}

impl TryFrom<PassRow> for KeptPass {
    type Error = sqlx::Error;

    fn try_from(row: PassRow) -> Result<Self, sqlx::Error> {
        let by_tier = |kept: &[i64]| counts(&(0..).take(kept.len()).collect::<Vec<_>>(), kept);
        let sums = PassSums {
            leases: decoded(row.pass_leases.try_into())?,
            differences: decoded(row.pass_differences.try_into())?,
            settled_before: by_tier(&row.pass_settled_before)?,
            settled_used: by_tier(&row.pass_settled_used)?,
            coupons: by_tier(&row.pass_coupons)?,
            is_final: row.pass_is_final,
        };
        Ok(Self {
            under_way: row
                .pass_from
                .zip(row.pass_began_at)
                .map(|(from, began_at)| (from, began_at, sums)),
            complete_at: row.complete_at,
        })
    }
}

impl TryFrom<ShownRow> for ShownAudit {
    type Error = sqlx::Error;

    fn try_from(row: ShownRow) -> Result<Self, sqlx::Error> {
        // A moment that is yet to come, after the database's clock was set back, is now.
        let age = |seconds: f64| decoded(Duration::try_from_secs_f64(seconds.max(0.0)));
        Ok(Self {
            campaign: decoded(CampaignId::parse(row.campaign_id))?,
            is_current: row.is_current,
            age: age(row.audited_seconds_ago)?,
            complete_age: age(row.complete_seconds_ago)?,
            leases_compared: decoded(row.leases_compared.try_into())?,
            leases_left_out: decoded(row.leases_left_out.try_into())?,
            differences: decoded(row.differences.try_into())?,
        })
    }
}

fn by_tier(counts: &TierCounts) -> Result<Vec<i64>, sqlx::Error> {
    counts.iter().map(|(_, count)| stored(count)).collect()
}

impl Work {
    /// Takes or keeps the turn to audit for so long; false if another auditor has it.
    pub async fn take_audit_turn(
        &mut self,
        auditor: &str,
        turn: Duration,
    ) -> Result<bool, QuotaError> {
        let taken: Option<bool> =
            sqlx::query_scalar(include_str!("../../../queries/take_audit_turn.sql"))
                .bind(auditor)
                .bind(turn.as_secs_f64() * 1_000.0)
                .fetch_optional(self.connection())
                .await?;
        Ok(taken.is_some())
    }

    pub async fn end_audit_turn(&mut self, auditor: &str) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../../queries/end_audit_turn.sql"));
        self.run(statement.bind(auditor)).await
    }

    /// At most `limit` campaigns that are due: those that close after one moment, and others whose last complete pass began before another.
    pub async fn campaigns_to_audit(
        &mut self,
        closing_after: Timestamp,
        complete_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<CampaignId>, QuotaError> {
        let ids: Vec<String> =
            sqlx::query_scalar(include_str!("../../../queries/campaigns_to_audit.sql"))
                .bind(closing_after)
                .bind(complete_before)
                .bind(i64::from(limit))
                .fetch_all(self.connection())
                .await?;
        let ids = ids.into_iter().map(|id| decoded(CampaignId::parse(id)));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    pub async fn audit_pass(&mut self, campaign: CampaignNumber) -> Result<KeptPass, QuotaError> {
        let row: Option<PassRow> =
            sqlx::query_as(include_str!("../../../queries/read_audit_pass.sql"))
                .bind(number(campaign))
                .fetch_optional(self.connection())
                .await?;
        Ok(row.map_or(Ok(KeptPass::default()), KeptPass::try_from)?)
    }

    /// Keeps how far an audit has come, if this auditor still has the turn.
    pub async fn save_audit(
        &mut self,
        campaign: CampaignNumber,
        auditor: &str,
        saved: &SavedAudit,
    ) -> Result<(), QuotaError> {
        let (from, began_at, sums) = saved.under_way.map_or(
            (None, None, PassSums::default()),
            |(from, began_at, sums)| (Some(from), Some(began_at), sums),
        );
        let complete = saved
            .complete
            .map_or_else(PassSums::default, |(_, sums)| sums);
        let statement = sqlx::query(include_str!("../../../queries/save_audit_pass.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(auditor)
                .bind(saved.audited_at)
                .bind(stored(saved.leases_compared)?)
                .bind(stored(saved.leases_left_out)?)
                .bind(stored(saved.differences)?)
                .bind(from)
                .bind(began_at)
                .bind(stored(sums.leases)?)
                .bind(stored(sums.differences)?)
                .bind(by_tier(&sums.settled_before)?)
                .bind(by_tier(&sums.settled_used)?)
                .bind(by_tier(&sums.coupons)?)
                .bind(sums.is_final)
                .bind(saved.complete.map(|(began_at, _)| began_at))
                .bind(stored(complete.leases)?)
                .bind(stored(complete.differences)?)
                .bind(complete.is_final),
        )
        .await
    }

    /// What was audited last, of at most `limit` new campaigns and as many whose audit has found something.
    pub async fn audits_shown(
        &mut self,
        limit: u32,
        closing_after: Timestamp,
    ) -> Result<Vec<ShownAudit>, QuotaError> {
        let query =
            sqlx::query_as::<_, ShownRow>(include_str!("../../../queries/audits_shown.sql"));
        self.rows(query.bind(i64::from(limit)).bind(closing_after))
            .await
    }
}
