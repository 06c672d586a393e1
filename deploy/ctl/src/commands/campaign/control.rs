//! Halting, holding and resuming, until it is in force.

use std::time::Duration;

use clap::Args;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{HaltAllCampaignsRequest, HaltAllCampaignsResponse, SetCampaignControlRequest},
    r#type::v1::{
        Campaign, CampaignControl, IssuanceControl, IssuanceState, RedemptionControl,
        RedemptionState,
    },
};
use tidegate_rpc::refusal::reason_of;
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
    // A halt is right whatever anybody else has said meanwhile, so it is said again.
    for _ in 1..MAX_DECISIONS {
        match halt_once(&campaign, &halt, session).await {
            Err(Failure::Refused(status))
                if reason_of(&status) == Some(Reason::ControlEpochConflict) => {}
            outcome => return outcome,
        }
    }
    halt_once(&campaign, &halt, session).await
}

async fn halt_once(id: &str, halt: &Halt, session: &Session) -> Result<Output, Failure> {
    let is = control(&get(session, id).await?);
    let redemption = match halt.redeeming {
        true => RedemptionControl::Halted,
        false => is.redemption(),
    };
    let wanted = SetCampaignControlRequest {
        campaign_id: id.to_owned(),
        issuance: IssuanceControl::Halted.into(),
        redemption: redemption.into(),
        reason: halt.reason.clone(),
        resume_at: halt.resume_at,
        epoch: is.epoch,
    };
    let campaign = set(wanted, session, halt.wait).await?;
    let note = "No coupon of the campaign can be issued until it is resumed.";
    Ok(shown(&campaign).with_note(note))
}

pub(super) async fn hold(say: Say, session: &Session) -> Result<Output, Failure> {
    let keep = |is: &CampaignControl| is.redemption();
    say_once(say, IssuanceControl::QueueOnly, keep, session).await
}

pub(super) async fn resume(say: Say, session: &Session) -> Result<Output, Failure> {
    let open = |_: &CampaignControl| RedemptionControl::Open;
    say_once(say, IssuanceControl::Open, open, session).await
}

async fn say_once(
    say: Say,
    issuance: IssuanceControl,
    redemption: impl Fn(&CampaignControl) -> RedemptionControl,
    session: &Session,
) -> Result<Output, Failure> {
    let is = control(&get(session, &say.campaign).await?);
    let wanted = SetCampaignControlRequest {
        campaign_id: say.campaign,
        issuance: issuance.into(),
        redemption: redemption(&is).into(),
        reason: say.reason,
        resume_at: None,
        epoch: is.epoch,
    };
    Ok(shown(&set(wanted, session, say.wait).await?))
}

fn control(campaign: &Campaign) -> CampaignControl {
    campaign.control.clone().unwrap_or_default()
}

async fn set(
    wanted: SetCampaignControlRequest,
    session: &Session,
    patience: Duration,
) -> Result<Campaign, Failure> {
    let id = wanted.campaign_id.clone();
    let mut first = Some(told(session.call(wanted).await?.campaign)?);
    let look = || {
        let (first, id) = (first.take(), id.clone());
        async move {
            match first {
                Some(campaign) => Ok(campaign),
                None => get(session, &id).await,
            }
        }
    };
    wait::until(patience, look, |campaign| under_way(&control(campaign))).await
}

/// What is not in force yet; `None` if all is.
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
