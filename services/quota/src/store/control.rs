use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};

use super::{Work, values::*};
use crate::{
    domain::{Control, Standing, text::shown},
    error::{QuotaError, Result},
};

/// Leases of a campaign come back within minutes after its end; older ones need not be looked at.
const CLOSED_LATELY: Duration = Duration::from_secs(24 * 3_600);

/// What decides whether stock of a campaign is lent.
pub struct Lending {
    pub closes_at: Timestamp,
    /// Whether it is over whatever a clock says: staff ended it, or it is retired.
    pub is_over: bool,
    pub tier_count: u64,
    pub control: Control,
}

fn lending(row: &PgRow) -> Read<Lending> {
    Ok(Lending {
        closes_at: row.try_get("closes_at")?,
        is_over: row.try_get("is_over")?,
        tier_count: count(row, "tier_count")?,
        control: control(row)?,
    })
}

fn standing(row: &PgRow) -> Read<Standing> {
    Ok(Standing {
        number: campaign_number(row)?,
        id: parsed(row, "campaign_id", CampaignId::parse)?,
        closes_at: row.try_get("closes_at")?,
        ended_at: row.try_get("ended_at")?,
        control: control(row)?,
        nothing_leased: row.try_get("nothing_leased")?,
        fence: fence(row)?,
    })
}

impl Work {
    pub async fn lending(&mut self, campaign: CampaignNumber) -> Result<Lending> {
        let found = sql!("../../queries/read_lending.sql", number(campaign));
        let found = self.row(found, lending).await?;
        found.ok_or(QuotaError::CampaignNotFound)
    }

    /// Changes controls and revisions, in a transaction that holds the campaigns' locks.
    pub async fn set_controls(&mut self, controls: &[(CampaignNumber, Control)]) -> Result {
        let (campaigns, controls): (Vec<_>, Vec<_>) = controls.iter().cloned().unzip();
        let texts = |text: fn(&Control) -> &str| controls.iter().map(text).collect::<Vec<_>>();
        let resume_at = controls.iter().map(|control| control.resume_at);
        let set = sql!(
            "../../queries/set_controls.sql",
            numbers(&campaigns),
            texts(|control| control.issuance.name()),
            texts(|control| control.redemption.name()),
            texts(|control| shown(&control.reason)),
            resume_at.collect::<Vec<_>>(),
            stored_all(controls.iter().map(|control| control.epoch))?,
        );
        self.run(set).await
    }

    /// Extends the validity and grows the revision, in a transaction that holds the campaign's locks.
    pub async fn extend_validity(
        &mut self,
        campaign: CampaignNumber,
        valid_until: Timestamp,
    ) -> Result {
        let campaign = number(campaign);
        let extend = sql!("../../queries/extend_validity.sql", campaign, valid_until);
        self.run(extend).await
    }

    /// Issuance's database has this revision of the campaign, or a newer one.
    pub async fn mark_fenced(&mut self, campaign: CampaignNumber, revision: u64) -> Result {
        let (campaign, revision) = (number(campaign), stored(revision)?);
        let mark = sql!("../../queries/mark_fenced.sql", campaign, revision);
        self.run(mark).await
    }

    /// At most `limit` campaigns that have not ended at `now`, those that are not halted first.
    pub async fn campaigns_to_halt(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<CampaignNumber>> {
        let lately = now - CLOSED_LATELY;
        let found = sql!("../../queries/campaigns_to_halt.sql", now, limit, lately);
        self.rows(found, campaign_number).await
    }

    pub async fn lock_tiers_of_many(&mut self, campaigns: &[CampaignNumber]) -> Result {
        let lock = sql!("../../queries/lock_tiers_of_many.sql", numbers(campaigns));
        self.run(lock).await
    }

    /// How these campaigns stand, in the order of their numbers.
    pub async fn standings(&mut self, campaigns: &[CampaignNumber]) -> Result<Vec<Standing>> {
        let found = sql!("../../queries/read_standings.sql", numbers(campaigns));
        self.rows(found, standing).await
    }
}
