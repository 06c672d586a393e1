use std::{collections::BTreeMap, time::Instant};

use tidegate_types::{CampaignNumber, Timestamp};
use tokio::time::{sleep, timeout_at};

use super::{ANSWER_MARGIN, Controls, POLL_INTERVAL};
use crate::{
    domain::{Halt, IssuanceState, Standing},
    error::QuotaError,
    staff::{self, StaffCall},
    store::Work,
    watch::MAX_CURRENT_CAMPAIGNS,
};

/// Campaigns that one halt of all takes in. There are no more than half as many, and a few that were
/// made at once. Beyond, those that are not halted come first, nothing is said to be all halted, and
/// the same call again takes in the next ones.
pub const MAX_HALTED: u32 = 2 * MAX_CURRENT_CAMPAIGNS as u32;

/// How a halt of all campaigns stands.
#[derive(Debug, Clone)]
pub struct Halted {
    /// Every campaign that it took in, in the order of their numbers.
    pub campaigns: Vec<Standing>,
    /// Whether that was every campaign, and all of it is in force.
    pub is_all: bool,
}

/// What one transaction has halted.
struct Taken {
    campaigns: Vec<Standing>,
    is_everyone: bool,
}

impl Controls {
    /// Halts the issuing of every campaign that has not ended, in one transaction, and waits until all of it is in force, as long as the deadline allows. Those that are halted so already stay as they are.
    pub async fn halt_all(&self, halt: &Halt, call: &StaffCall) -> Result<Halted, QuotaError> {
        let taken = self
            .store
            .transaction(call.deadline, async |work| halt_all(work, halt, call).await);
        let Taken {
            campaigns,
            is_everyone,
        } = taken.await?;
        if campaigns
            .iter()
            .any(|campaign| !campaign.fence.holds_redemption())
        {
            self.fencer.up(call.trace);
        }
        if campaigns
            .iter()
            .any(|campaign| campaign.issuance_state() == IssuanceState::Halting)
        {
            self.reclaimer.up(call.trace);
        }
        let campaigns = self.wait_for_all(campaigns, call.deadline).await?;
        Ok(Halted {
            is_all: is_everyone && campaigns.iter().all(|campaign| halt.is_in_force(campaign)),
            campaigns,
        })
    }

    /// Waits while the controls of these campaigns are on their way, as long as there is time. Whatever somebody changed since is not waited for.
    async fn wait_for_all(
        &self,
        mut campaigns: Vec<Standing>,
        deadline: Instant,
    ) -> Result<Vec<Standing>, QuotaError> {
        let epochs: BTreeMap<_, _> = campaigns
            .iter()
            .map(|campaign| (campaign.number, campaign.control.epoch))
            .collect();
        let numbers: Vec<_> = epochs.keys().copied().collect();
        let is_awaited = |campaign: &Standing| {
            campaign.is_on_its_way()
                && epochs.get(&campaign.number) == Some(&campaign.control.epoch)
        };
        let answer_by = deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline);
        while campaigns.iter().any(is_awaited) && Instant::now() + POLL_INTERVAL < answer_by {
            sleep(POLL_INTERVAL).await;
            // The halt is committed, so a database that is slow or away now is no reason to say otherwise.
            match timeout_at(answer_by.into(), self.standings(&numbers)).await {
                Ok(Ok(read)) => campaigns = read,
                Ok(Err(QuotaError::DatabaseAway(_))) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok(campaigns)
    }

    async fn standings(&self, campaigns: &[CampaignNumber]) -> Result<Vec<Standing>, QuotaError> {
        self.store
            .read(async |read| read.standings(campaigns).await)
            .await
    }
}

async fn halt_all(work: &mut Work, halt: &Halt, call: &StaffCall) -> Result<Taken, QuotaError> {
    let mut numbers = work.campaigns_to_halt(call.now(), MAX_HALTED + 1).await?;
    let is_everyone = numbers.len() <= MAX_HALTED as usize;
    numbers.truncate(MAX_HALTED as usize);
    work.lock_tiers_of_many(&numbers).await?;
    // Some may have ended while their locks were waited for. One that closed a moment ago, by this
    // clock, is halted as long as a claim of it may yet commit.
    let mut before = work.standings(&numbers).await?;
    let now: Timestamp = call.now();
    before.retain(|campaign| {
        campaign.ended_at.is_none() && (campaign.closes_at > now || !campaign.nothing_leased)
    });
    let (mut halted, mut changes) = (Vec::new(), Vec::new());
    for campaign in &before {
        let Some(control) = halt.of(&campaign.control) else {
            continue;
        };
        let change = call.change("HaltAllCampaigns", &campaign.id, halt.reason.as_str());
        let compared = change.map(|change| staff::controls(change, &campaign.control, &control));
        changes.extend(compared);
        halted.push((campaign.number, control));
    }
    let numbers: Vec<_> = before.iter().map(|campaign| campaign.number).collect();
    work.halt_campaigns(&halted, halt).await?;
    work.record(&changes).await?;
    Ok(Taken {
        campaigns: work.standings(&numbers).await?,
        is_everyone,
    })
}
