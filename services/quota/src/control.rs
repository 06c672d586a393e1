//! What staff say of a campaign while it runs: opening, holding, halting and ending it, and extending its coupons.

mod ending;
mod halt_all;

use std::time::{Duration, Instant};

use tidegate_types::{CampaignId, Timestamp};
use tokio::time::{sleep, timeout_at};

pub use self::{
    ending::EndRequest,
    halt_all::{Halted, MAX_HALTED},
};
use crate::{
    domain::{
        Campaign, ControlChange, Extension, IssuanceState, MAX_EXTENSION, NotExtended,
        WantedControl,
    },
    error::QuotaError,
    staff::{self, StaffCall},
    store::{Store, Work},
    wake::Wake,
};

/// Kept of the call's time, so that the answer still travels when a halt is slow.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
/// How often a change is looked at while its caller waits; any replica may bring it into force, so the database is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub struct ControlRequest {
    pub campaign: CampaignId,
    pub wanted: WantedControl,
    /// The epoch of the control they decided on.
    pub seen_epoch: u64,
}

#[derive(Clone)]
pub struct Controls {
    store: Store,
    reclaimer: Wake,
    fencer: Wake,
}

impl Controls {
    /// Controls kept in a store; `reclaimer` is woken by every halt, and `fencer` by whatever issuance must know.
    pub fn new(store: Store, reclaimer: Wake, fencer: Wake) -> Self {
        Self {
            store,
            reclaimer,
            fencer,
        }
    }

    /// Changes a campaign's control, once: the same change with the same epoch again answers with the campaign as it is. What is said is waited for until it is in force, as long as the deadline allows;
    /// after that the campaign is told as it is, HALTING or RESUMING.
    pub async fn set(
        &self,
        request: &ControlRequest,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        let campaign = self
            .store
            .transaction(call.deadline, async |work| set(work, request, call).await)
            .await?;
        if !campaign.fence.holds_redemption() {
            self.fencer.up(call.trace);
        }
        if campaign.issuance_state() == IssuanceState::Halting {
            self.reclaimer.up(call.trace);
        }
        let epoch = campaign.control.epoch;
        let is_open = |campaign: &Campaign| {
            campaign.control.epoch == epoch
                && (campaign.issuance_state() == IssuanceState::Halting
                    || !campaign.fence.holds_redemption())
        };
        self.wait_while(is_open, campaign, call.deadline).await
    }

    /// Makes every coupon of a campaign valid at least until a moment. The same moment again changes nothing, and is answered once it is in force. [`QuotaError::NotInForceYet`] if that takes longer than
    /// the deadline allows: it is recorded all the same.
    pub async fn extend_validity(
        &self,
        id: &CampaignId,
        valid_until: Timestamp,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        let campaign = self
            .store
            .transaction(call.deadline, async |work| {
                extend(work, id, valid_until, call).await
            })
            .await?;
        let is_open = |campaign: &Campaign| !campaign.fence.holds_extension();
        if is_open(&campaign) {
            self.fencer.up(call.trace);
        }
        let campaign = self.wait_while(is_open, campaign, call.deadline).await?;
        if is_open(&campaign) {
            return Err(QuotaError::NotInForceYet);
        }
        Ok(campaign)
    }

    /// Waits while something of the campaign is not in force, as long as there is time.
    async fn wait_while(
        &self,
        is_open: impl Fn(&Campaign) -> bool,
        mut campaign: Campaign,
        deadline: Instant,
    ) -> Result<Campaign, QuotaError> {
        let answer_by = deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline);
        while is_open(&campaign) && Instant::now() + POLL_INTERVAL < answer_by {
            sleep(POLL_INTERVAL).await;
            // The change is committed, so a database that is slow or away now is no reason to say otherwise: the next look may succeed.
            let id = &campaign.terms.id;
            let read = self.store.read(async |read| read.campaign(id).await);
            match timeout_at(answer_by.into(), read).await {
                Ok(Ok(read)) => campaign = read,
                Ok(Err(QuotaError::DatabaseAway(_))) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok(campaign)
    }
}

async fn set(
    work: &mut Work,
    request: &ControlRequest,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let campaign = work.lock_campaign(&request.campaign).await?;
    match campaign
        .control
        .change(request.wanted.clone(), request.seen_epoch)
    {
        ControlChange::Before => Ok(campaign),
        ControlChange::Conflict { epoch } => Err(QuotaError::ControlEpochConflict { epoch }),
        ControlChange::Changed(control) => {
            work.set_control(campaign.number, &control).await?;
            let why = ("SetCampaignControl", request.wanted.reason.as_str());
            staff::record(work, call, why, &request.campaign, Some(&campaign)).await
        }
    }
}

async fn extend(
    work: &mut Work,
    id: &CampaignId,
    valid_until: Timestamp,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let campaign = work.lock_campaign(id).await?;
    let invalid = |description: String| QuotaError::invalid_field("valid_until", description);
    match campaign.extend(valid_until, call.now()) {
        Ok(Extension::Before) => Ok(campaign),
        Ok(Extension::Now) => {
            work.extend_validity(campaign.number, valid_until).await?;
            staff::record(work, call, ("ExtendValidity", ""), id, Some(&campaign)).await
        }
        Err(NotExtended::NotInFuture) => Err(invalid("must be in the future".into())),
        Err(NotExtended::TooLong) => Err(invalid(format!(
            "must be at most {} days after the campaign closes",
            MAX_EXTENSION.as_secs() / (24 * 3_600)
        ))),
        Err(NotExtended::BeforeEarlier { earlier }) => Err(invalid(format!(
            "must not be before {earlier}, until when coupons were promised to be valid"
        ))),
    }
}
