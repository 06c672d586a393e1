//! What staff say of a campaign while it runs: opening, holding, halting and ending it, and extending its coupons.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidegate_types::{CampaignId, ChangeReason, Timestamp};
use tokio::time::{sleep, timeout_at};

use crate::{
    domain::{Campaign, Control, Halt, IssuanceState, Standing, nothing_leased, text::shown},
    error::{QuotaError, Result},
    staff::{self, StaffCall},
    store::{Store, Work},
    wake::Wake,
    watch::MAX_CURRENT_CAMPAIGNS,
};

/// Kept of the call's time, so that the answer still travels when a halt is slow.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
/// How often a change is looked at while its caller waits; any replica may bring it into force, so the database is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub struct ControlRequest {
    pub campaign: CampaignId,
    /// With the epoch after the one that staff had seen.
    pub wanted: Control,
}

#[derive(Debug, Clone)]
pub struct EndRequest {
    pub campaign: CampaignId,
    pub reason: ChangeReason,
}

/// Campaigns that one halt of all takes in. There are no more than half as many, and a few that were
/// made at once. Beyond, those that are not halted come first, nothing is said to be all halted, and
/// the same call again takes in the next ones.
pub const MAX_HALTED: i64 = 2 * MAX_CURRENT_CAMPAIGNS;

#[derive(Debug, Clone)]
pub struct Halted {
    pub campaigns: Vec<Standing>,
    /// Whether that was every campaign, and all of it is in force.
    pub is_all: bool,
}

#[derive(Clone)]
pub struct Controls {
    pub store: Store,
    /// Wakes the reclaimer.
    pub reclaimer: Wake,
    /// Wakes the fencer.
    pub fencer: Wake,
}

impl Controls {
    /// Changes a campaign's control, once: the same change with the same epoch again answers with the campaign as it is. What is said is waited for until it is in force, as long as the deadline allows;
    /// after that the campaign is told as it is, HALTING or RESUMING.
    pub async fn set(&self, request: &ControlRequest, call: &StaffCall) -> Result<Campaign> {
        let (id, wanted) = (&request.campaign, &request.wanted);
        let set = self.store.transaction(call.deadline, async |work| {
            let campaign = work.lock_campaign(id).await?;
            let Some(control) = campaign.control.change(wanted.clone())? else {
                return Ok(campaign);
            };
            work.set_controls(&[(campaign.number, control)]).await?;
            let why = ("SetCampaignControl", shown(&wanted.reason));
            staff::record(work, call, why, id, Some(&campaign)).await
        });
        let campaign = set.await?;
        let epoch = campaign.control.epoch;
        let is_open = |campaign: &Campaign| {
            campaign.control.epoch == epoch
                && (campaign.issuance_state() == IssuanceState::Halting
                    || !campaign.fence.holds_redemption())
        };
        self.carry_out(is_open, campaign, call.deadline).await
    }

    /// Makes every coupon of a campaign valid at least until a moment. The same moment again changes nothing, and is answered once it is in force. [`QuotaError::NotInForceYet`] if that takes longer than
    /// the deadline allows: it is recorded all the same.
    pub async fn extend_validity(
        &self,
        id: &CampaignId,
        valid_until: Timestamp,
        call: &StaffCall,
    ) -> Result<Campaign> {
        let extended = self.store.transaction(call.deadline, async |work| {
            let campaign = work.lock_campaign(id).await?;
            if !campaign.extends(valid_until, call.now())? {
                return Ok(campaign);
            }
            work.extend_validity(campaign.number, valid_until).await?;
            staff::record(work, call, ("ExtendValidity", ""), id, Some(&campaign)).await
        });
        let is_open = |campaign: &Campaign| !campaign.fence.holds_extension();
        let campaign = self.carry_out(is_open, extended.await?, call.deadline);
        let in_force = Some(campaign.await?).filter(|campaign| !is_open(campaign));
        in_force.ok_or(QuotaError::NotInForceYet)
    }

    /// Ends a campaign for good. Nothing is granted of it from then on; that nothing of it is on lease any more is waited for as long as the deadline allows, and the campaign is told as it is then.
    /// One that staff ended before stays as it is.
    pub async fn end(&self, request: &EndRequest, call: &StaffCall) -> Result<Campaign> {
        let EndRequest { campaign, reason } = request;
        let ended = self.store.transaction(call.deadline, async |work| {
            let before = work.lock_campaign(campaign).await?;
            let now = call.now();
            let Some(terms) = before.end(now) else {
                return Ok(before);
            };
            work.update_campaign(before.number, &before.terms, &terms, Some(now))
                .await?;
            let why = ("EndCampaign", reason.as_str());
            staff::record(work, call, why, campaign, Some(&before)).await
        });
        let is_open = |campaign: &Campaign| !nothing_leased(&campaign.stock);
        self.carry_out(is_open, ended.await?, call.deadline).await
    }

    /// Halts the issuing of every campaign that has not ended, in one transaction, and waits until all of it is in force, as long as the deadline allows. Those that are halted so already stay as they are.
    pub async fn halt_all(&self, halt: &Halt, call: &StaffCall) -> Result<Halted> {
        let taken = self
            .store
            .transaction(call.deadline, async |work| halt_all(work, halt, call).await);
        let (campaigns, is_everyone) = taken.await?;
        let campaigns = self.carry_out_all(campaigns, call.deadline).await?;
        Ok(Halted {
            is_all: is_everyone && campaigns.iter().all(|campaign| halt.is_in_force(campaign)),
            campaigns,
        })
    }

    /// Has the controls of these campaigns brought into force. Whatever somebody changed since is not waited for.
    async fn carry_out_all(
        &self,
        campaigns: Vec<Standing>,
        deadline: Instant,
    ) -> Result<Vec<Standing>> {
        let epochs = campaigns.iter();
        let epochs = epochs.map(|campaign| (campaign.number, campaign.control.epoch));
        let epochs: BTreeMap<_, _> = epochs.collect();
        let numbers: Vec<_> = epochs.keys().copied().collect();
        let is_awaited = |campaign: &Standing| {
            campaign.is_on_its_way()
                && epochs.get(&campaign.number) == Some(&campaign.control.epoch)
        };
        let is_open = |campaigns: &Vec<Standing>| campaigns.iter().any(is_awaited);
        let read = || self.store.read(async |read| read.standings(&numbers).await);
        self.bring_about(is_open, campaigns, read, deadline).await
    }

    async fn carry_out(
        &self,
        is_open: impl Fn(&Campaign) -> bool,
        campaign: Campaign,
        deadline: Instant,
    ) -> Result<Campaign> {
        let id = campaign.terms.id.clone();
        let read = || self.store.read(async |read| read.campaign(&id).await);
        self.bring_about(is_open, campaign, read, deadline).await
    }

    /// Wakes whoever brings a state into force, and reads it again and again while something of it is not, as long as there is time.
    async fn bring_about<T, Reading: Future<Output = Result<T>>>(
        &self,
        is_open: impl Fn(&T) -> bool,
        mut state: T,
        read: impl Fn() -> Reading,
        deadline: Instant,
    ) -> Result<T> {
        if is_open(&state) {
            self.fencer.up();
            self.reclaimer.up();
        }
        let answer_by = deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline);
        while is_open(&state) && Instant::now() + POLL_INTERVAL < answer_by {
            sleep(POLL_INTERVAL).await;
            // The change is committed, so a database that is slow or away now is no reason to say otherwise: the next look may succeed.
            match timeout_at(answer_by.into(), read()).await {
                Ok(Ok(read)) => state = read,
                Ok(Err(QuotaError::DatabaseAway(_))) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok(state)
    }
}

/// What was halted, and whether that is every campaign.
async fn halt_all(work: &mut Work, halt: &Halt, call: &StaffCall) -> Result<(Vec<Standing>, bool)> {
    let mut numbers = work.campaigns_to_halt(call.now(), MAX_HALTED + 1).await?;
    let is_everyone = numbers.len() <= MAX_HALTED as usize;
    numbers.truncate(MAX_HALTED as usize);
    work.lock_tiers_of_many(&numbers).await?;
    // Some may have ended while their locks were waited for. One that closed a moment ago, by this
    // clock, is halted as long as a claim of it may yet commit.
    let mut before = work.standings(&numbers).await?;
    let now = call.now();
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
    work.set_controls(&halted).await?;
    work.record(&changes).await?;
    Ok((work.standings(&numbers).await?, is_everyone))
}
