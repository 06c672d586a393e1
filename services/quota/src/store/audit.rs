use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use uuid::Uuid;

use super::{Work, values::*};
use crate::{
    domain::{LeaseBooks, PassSums, TierBooks, TierCounts},
    error::Result,
};

/// A pass over all leases that is under way: where it goes on, when it began, and what it has added up.
pub type PassUnderWay = (Uuid, Timestamp, PassSums);

#[derive(Debug, Clone, Default)]
pub struct KeptPass {
    pub under_way: Option<PassUnderWay>,
    pub complete_at: Option<Timestamp>,
    /// Whether the campaign is retired.
    pub is_retired: bool,
}

#[derive(Debug, Clone)]
pub struct SavedAudit {
    pub audited_at: Timestamp,
    pub leases_compared: u64,
    pub leases_left_out: u64,
    /// What was found in the newest ones.
    pub differences: u64,
    pub under_way: Option<PassUnderWay>,
    /// The pass that has just gone over all leases: when it began, and what it added up.
    pub complete: Option<(Timestamp, PassSums)>,
}

#[derive(Debug, Clone)]
pub struct ShownAudit {
    pub campaign: CampaignId,
    /// Whether it is one that is audited again and again.
    pub is_current: bool,
    pub age: Duration,
    /// Since the last pass over all leases began; since the campaign was made if there was none.
    pub complete_age: Duration,
    pub leases_compared: u64,
    pub leases_left_out: u64,
    /// What was found, in the newest leases, in the pass under way or in the last complete one, whichever is more.
    pub differences: u64,
}

fn tier_books(row: &PgRow) -> Read<TierBooks> {
    Ok(TierBooks {
        stock: count(row, "stock")?,
        at: tier_stock(row)?,
        granted_unsettled: count(row, "granted_unsettled")?,
        used_settled: count(row, "used_settled")?,
        leases: count(row, "leases")?,
    })
}

fn lease_books(row: &PgRow) -> Read<LeaseBooks> {
    let (used, is_settled) = (tier_counts(row, "used")?, row.try_get("is_settled")?);
    Ok(LeaseBooks {
        lease_id: row.try_get("lease_id")?,
        lane: lane(row)?,
        granted: tier_counts(row, "granted")?,
        used: Some(used).filter(|_| is_settled),
    })
}

fn kept_pass(row: &PgRow) -> Read<KeptPass> {
    let sums = PassSums {
        leases: count(row, "pass_leases")?,
        differences: count(row, "pass_differences")?,
        settled_before: first_tier_counts(row, "pass_settled_before")?,
        settled_used: first_tier_counts(row, "pass_settled_used")?,
        coupons: first_tier_counts(row, "pass_coupons")?,
        is_final: row.try_get("pass_is_final")?,
    };
    let from: Option<Uuid> = row.try_get("pass_from")?;
    let under_way = from.zip(row.try_get("pass_began_at")?);
    Ok(KeptPass {
        under_way: under_way.map(|(from, began_at)| (from, began_at, sums)),
        complete_at: row.try_get("complete_at")?,
        is_retired: row.try_get("is_retired")?,
    })
}

fn shown_audit(row: &PgRow) -> Read<ShownAudit> {
    let age = |column| {
        let seconds: f64 = row.try_get(column)?;
        // A moment that is yet to come, after the database's clock was set back, is now.
        decoded(Duration::try_from_secs_f64(seconds.max(0.0)))
    };
    Ok(ShownAudit {
        campaign: parsed(row, "campaign_id", CampaignId::parse)?,
        is_current: row.try_get("is_current")?,
        age: age("audited_seconds_ago")?,
        complete_age: age("complete_seconds_ago")?,
        leases_compared: count(row, "leases_compared")?,
        leases_left_out: count(row, "leases_left_out")?,
        differences: count(row, "differences")?,
    })
}

fn by_tier(counts: &TierCounts) -> Result<Vec<i64>, sqlx::Error> {
    stored_all(counts.iter().map(|(_, count)| count))
}

impl Work {
    /// The books of every tier of a campaign at one instant, in the campaign's order.
    pub async fn tier_books(&mut self, campaign: CampaignNumber) -> Result<Vec<TierBooks>> {
        let books = sql!("../../queries/audit_books.sql", number(campaign));
        self.rows(books, tier_books).await
    }

    /// At most `limit` leases of a campaign from the id `from` downwards, the newest first.
    pub async fn lease_books(
        &mut self,
        campaign: CampaignNumber,
        from: Uuid,
        limit: i64,
    ) -> Result<Vec<LeaseBooks>> {
        let campaign = number(campaign);
        let leases = sql!("../../queries/audit_leases.sql", campaign, from, limit);
        self.rows(leases, lease_books).await
    }

    /// Takes or keeps the turn to audit for so long; false if another auditor has it.
    pub async fn take_audit_turn(&mut self, auditor: &str, turn: Duration) -> Result<bool> {
        let turn_ms = turn.as_secs_f64() * 1_000.0;
        let taken = sql!("../../queries/take_audit_turn.sql", auditor, turn_ms);
        Ok(self.row(taken, |_| Ok(())).await?.is_some())
    }

    pub async fn end_audit_turn(&mut self, auditor: &str) -> Result {
        let end = sql!("../../queries/end_audit_turn.sql", auditor);
        self.run(end).await
    }

    /// At most `limit` campaigns that are due: those that close after one moment, and others whose last complete pass began before another.
    pub async fn campaigns_to_audit(
        &mut self,
        closing_after: Timestamp,
        complete_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<CampaignId>> {
        let due = sql!(
            "../../queries/campaigns_to_audit.sql",
            closing_after,
            complete_before,
            limit
        );
        self.rows(due, |row| parsed(row, "campaign_id", CampaignId::parse))
            .await
    }

    pub async fn audit_pass(&mut self, campaign: CampaignNumber) -> Result<KeptPass> {
        let pass = sql!("../../queries/read_audit_pass.sql", number(campaign));
        Ok(self.row(pass, kept_pass).await?.unwrap_or_default())
    }

    /// Keeps how far an audit has come, if this auditor still has the turn.
    pub async fn save_audit(
        &mut self,
        campaign: CampaignNumber,
        auditor: &str,
        saved: &SavedAudit,
    ) -> Result {
        let sums = saved.under_way.map(|(_, _, sums)| sums).unwrap_or_default();
        let complete = saved.complete.map(|(_, sums)| sums).unwrap_or_default();
        let save = sql!(
            "../../queries/save_audit_pass.sql",
            number(campaign),
            auditor,
            saved.audited_at,
            stored(saved.leases_compared)?,
            stored(saved.leases_left_out)?,
            stored(saved.differences)?,
            saved.under_way.map(|(from, _, _)| from),
            saved.under_way.map(|(_, began_at, _)| began_at),
            stored(sums.leases)?,
            stored(sums.differences)?,
            by_tier(&sums.settled_before)?,
            by_tier(&sums.settled_used)?,
            by_tier(&sums.coupons)?,
            sums.is_final,
            saved.complete.map(|(began_at, _)| began_at),
            stored(complete.leases)?,
            stored(complete.differences)?,
            complete.is_final,
        );
        self.run(save).await
    }

    /// What was audited last, of at most `limit` new campaigns and as many whose audit has found something.
    pub async fn audits_shown(
        &mut self,
        limit: i64,
        closing_after: Timestamp,
    ) -> Result<Vec<ShownAudit>> {
        let shown = sql!("../../queries/audits_shown.sql", limit, closing_after);
        self.rows(shown, shown_audit).await
    }
}
