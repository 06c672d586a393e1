//! Halting, holding and resuming, until it is in force.

use std::time::Duration;

use clap::Args;
use prost_types::Timestamp;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{HaltAllCampaignsRequest, HaltAllCampaignsResponse, SetCampaignControlRequest},
    r#type::v1::{
        Campaign, CampaignControl, IssuanceControl, IssuanceState, RedemptionControl,
        RedemptionState,
    },
};
use tidegate_types::Reason;

use super::{Halt, get, shown, told};
use crate::{
    arguments::Global,
    confirm::confirm,
    contract::json_each,
    failure::Failure,
    moment::parse_length,
    output::{Column, Output},
    session::Session,
    wait,
};

/// How often a halt is decided anew because somebody else changed the control meanwhile.
const MAX_DECISIONS: u32 = 5;

#[derive(Debug, Args)]
pub struct Say {
    campaign: String,
    /// Why; kept, and shown to staff
    #[arg(long)]
    reason: String,
    /// How long to wait until it is in force
    #[arg(long, value_parser = parse_length, default_value = "60s")]
    wait: Duration,
}

pub async fn halt(halt: Halt, session: &Session, global: &Global) -> Result<Output, Failure> {
    let Some(campaign) = halt.campaign.clone() else {
        return halt_all(halt, session, global).await;
    };
    let say = Say {
        campaign,
        reason: halt.reason,
        wait: halt.wait,
    };
    let wanted = |is: &CampaignControl| match halt.redeeming {
        true => (IssuanceControl::Halted, RedemptionControl::Halted),
        false => (IssuanceControl::Halted, is.redemption()),
    };
    let mut decisions = 1;
    // A halt is right whatever anybody else has said meanwhile, so it is said again.
    loop {
        let said = say_once(&say, halt.resume_at, wanted, session).await;
        decisions += 1;
        match said {
            Err(failure)
                if failure.is_because(Reason::ControlEpochConflict)
                    && decisions <= MAX_DECISIONS => {}
            said => {
                let note = "No coupon of the campaign can be issued until it is resumed.";
                return Ok(said?.with_note(note));
            }
        }
    }
}

pub(super) async fn hold(say: Say, session: &Session) -> Result<Output, Failure> {
    let wanted = |is: &CampaignControl| (IssuanceControl::QueueOnly, is.redemption());
    say_once(&say, None, wanted, session).await
}

pub(super) async fn resume(say: Say, session: &Session) -> Result<Output, Failure> {
    let wanted = |_: &CampaignControl| (IssuanceControl::Open, RedemptionControl::Open);
    say_once(&say, None, wanted, session).await
}

/// Sets the control, from what it is now, and waits until that is in force.
async fn say_once(
    say: &Say,
    resume_at: Option<Timestamp>,
    wanted: impl Fn(&CampaignControl) -> (IssuanceControl, RedemptionControl),
    session: &Session,
) -> Result<Output, Failure> {
    let id = &say.campaign;
    let is = control(&get(session, id).await?);
    let (issuance, redemption) = wanted(&is);
    let message = SetCampaignControlRequest {
        campaign_id: id.clone(),
        issuance: issuance.into(),
        redemption: redemption.into(),
        reason: say.reason.clone(),
        resume_at,
        epoch: is.epoch,
    };
    let mut first = Some(told(session.call(message).await?.campaign)?);
    let look = || {
        let first = first.take();
        async move {
            match first {
                Some(campaign) => Ok(campaign),
                None => get(session, id).await,
            }
        }
    };
    let under_way = |campaign: &Campaign| under_way(&control(campaign));
    Ok(shown(&wait::until(say.wait, look, under_way).await?))
}

fn control(campaign: &Campaign) -> CampaignControl {
    campaign.control.clone().unwrap_or_default()
}

fn under_way(control: &CampaignControl) -> Option<String> {
    match (control.issuance_state(), control.redemption_state()) {
        (IssuanceState::Halting, _) => Some("HALTING: leases are being sealed".to_owned()),
        (_, RedemptionState::Halting) => Some("redeeming is HALTING".to_owned()),
        (_, RedemptionState::Resuming) => Some("redeeming is RESUMING".to_owned()),
        _ => None,
    }
}

async fn halt_all(halt: Halt, session: &Session, global: &Global) -> Result<Output, Failure> {
    const HALTED: &[Column] = &[
        ("CAMPAIGN", "/campaign_id"),
        ("ISSUING", "/issuance_state"),
        ("REDEEMING", "/redemption_state"),
        ("EPOCH", "/control_epoch"),
    ];
    let question = format!(
        "Every campaign of {} halts.",
        session.addresses(Identity::Quota).join(", ")
    );
    confirm(&question, global.yes)?;
    let message = HaltAllCampaignsRequest {
        reason: halt.reason,
        halt_redemption: halt.redeeming,
        resume_at: halt.resume_at,
    };
    let look = || session.call(message.clone());
    let still = |answer: &HaltAllCampaignsResponse| {
        let halting = answer.campaigns.iter();
        let halting = halting.filter(|one| one.issuance_state() != IssuanceState::Halted);
        let text = format!(
            "{} of {} are HALTING",
            halting.count(),
            answer.campaigns.len()
        );
        (!answer.all_halted).then_some(text)
    };
    let answer = wait::until(halt.wait, look, still).await?;
    let campaigns = json_each("tidegate.quota.v1.HaltedCampaign", &answer.campaigns);
    let note = format!("{} campaigns are HALTED.", campaigns.len());
    Ok(Output::list(campaigns, HALTED).with_note(note))
}
