//! Campaigns.

mod control;
mod file;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use prost_types::Timestamp;
use serde_json::json;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{
        AddBudgetRequest, AuditCampaignRequest, EndCampaignRequest, ExtendValidityRequest,
        GetCampaignRequest, ListCampaignsRequest, WatchCampaignsRequest,
        campaign_service_client::CampaignServiceClient, watch_campaigns_response::Event,
    },
    r#type::v1::{Campaign, TierStock},
};
use tonic::transport::Channel;

use crate::{
    arguments::Global,
    confirm::confirm,
    contract::json,
    failure::{Failure, with_request_id},
    moment::{parse_length, parse_moment},
    output::{Column, Output, print_heads},
    pages,
    session::Session,
    spec::FromFile,
};

pub use control::halt;

const CAMPAIGN: &str = "tidegate.type.v1.Campaign";
const LIST: &[Column] = &[
    ("CAMPAIGN", "/campaign_id"),
    ("NAME", "/display_name"),
    ("ISSUING", "/control/issuance_state"),
    ("REDEEMING", "/control/redemption_state"),
    ("OPENS", "/opens_at"),
    ("CLOSES", "/closes_at"),
    ("STOCK", "/totals/stock"),
    ("FREE", "/totals/free"),
    ("LEASED", "/totals/leased"),
    ("ISSUED", "/totals/settled"),
    ("SOLD OUT", "/sold_out"),
];
const SHOW: &[Column] = &[
    ("campaign", "/campaign_id"),
    ("name", "/display_name"),
    ("description", "/description"),
    ("number", "/campaign_number"),
    ("issuing", "/control/issuance_state"),
    ("redeeming", "/control/redemption_state"),
    ("because", "/control/reason"),
    ("resumes at", "/control/resume_at"),
    ("opens at", "/opens_at"),
    ("closes at", "/closes_at"),
    ("ended at", "/ended_at"),
    ("coupons work for", "/coupon_validity"),
    ("extended to", "/extended_valid_until"),
    ("limit per shopper", "/limit_per_shopper"),
    ("tiers", "/tiers_in_words"),
    ("stock", "/totals/stock"),
    ("free", "/totals/free"),
    ("leased", "/totals/leased"),
    ("settled", "/totals/settled"),
    ("sold out", "/sold_out"),
    ("epoch", "/control/epoch"),
];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List campaigns, the newest first
    List,
    /// Show one campaign and where its stock is
    Show {
        campaign: String,
        /// As a file that `campaign apply` takes
        #[arg(long)]
        as_file: bool,
    },
    /// Make a campaign from a file
    Create(FromFile),
    /// Make a campaign, or change it to what a file says
    Apply(FromFile),
    /// Tell what a file says otherwise than the campaign is; exits with 7 if there is anything
    Diff {
        /// YAML; `-` is standard input
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Make every coupon of the campaign valid at least until a moment
    Extend {
        campaign: String,
        /// Such as 2027-01-31T23:59:59+08:00 or +14d
        #[arg(long, value_parser = parse_moment, allow_hyphen_values = true)]
        until: Timestamp,
    },
    /// Add coupons to a tier, also after the sell-out
    Budget {
        campaign: String,
        tier: String,
        /// How many
        #[arg(long, value_name = "COUPONS")]
        add: u64,
        /// Why; kept in the history
        #[arg(long)]
        reason: String,
        /// The same on every retry; made if there is none
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Halt issuing, and wait until no coupon can be issued any more
    Halt(Halt),
    /// Ask claims to wait: nobody is turned away, and no coupon is issued
    Hold(control::Say),
    /// Open issuing and redeeming again
    Resume(control::Say),
    /// End the campaign for good
    End {
        campaign: String,
        /// Why; kept
        #[arg(long)]
        reason: String,
    },
    /// Compare quota's books with the coupons there are; exits with 7 if they differ
    Audit { campaign: String },
    /// Show every change of one campaign, or of all, as it happens
    Watch { campaign: Option<String> },
}

/// Which campaign to halt, and why.
#[derive(Debug, Args)]
pub struct Halt {
    /// Which campaign
    #[arg(required_unless_present = "all")]
    pub campaign: Option<String>,
    /// Every campaign that has not ended
    #[arg(long, conflicts_with = "campaign")]
    pub all: bool,
    /// Why; kept, and shown to staff
    #[arg(long)]
    pub reason: String,
    /// Halt redeeming as well: no coupon pays for an order until it is resumed
    #[arg(long)]
    pub redeeming: bool,
    /// When it is expected to go on; shoppers are told
    #[arg(long, value_parser = parse_moment, allow_hyphen_values = true)]
    pub resume_at: Option<Timestamp>,
    /// How long to wait until every lease is sealed
    #[arg(long, value_parser = parse_length, default_value = "60s")]
    pub wait: Duration,
}

pub async fn run(command: Command, session: &Session, global: &Global) -> Result<Output, Failure> {
    match command {
        Command::List => list(session).await,
        Command::Show { campaign, as_file } if as_file => {
            file::written(&get(session, &campaign).await?)
        }
        Command::Show { campaign, .. } => Ok(shown(&get(session, &campaign).await?)),
        Command::Create(from) => file::create(from, session).await,
        Command::Apply(from) => file::apply(from, session, global).await,
        Command::Diff { file } => file::diff(&file, session).await,
        Command::Extend { campaign, until } => extend(session, campaign, until).await,
        Command::Budget {
            campaign,
            tier,
            add,
            reason,
            request_id,
        } => {
            let request_id = request_id.unwrap_or_else(new_request_id);
            let addition = AddBudgetRequest {
                campaign_id: campaign,
                request_id: request_id.clone(),
                tier_id: tier,
                additional_stock: add,
                reason,
            };
            with_request_id(&request_id, budget(session, addition)).await
        }
        Command::Halt(what) => halt(what, session, global).await,
        Command::Hold(say) => control::hold(say, session).await,
        Command::Resume(say) => control::resume(say, session).await,
        Command::End { campaign, reason } => {
            let question = format!("Ending {campaign} cannot be undone.");
            confirm(&question, global.yes)?;
            end(session, campaign, reason).await
        }
        Command::Audit { campaign } => audit(session, campaign).await,
        Command::Watch { campaign } => watch(session, campaign, global).await,
    }
}

/// A request id for a write that is tried until it is answered.
pub(crate) fn new_request_id() -> String {
    format!("ctl-{}", uuid::Uuid::now_v7().simple())
}

async fn list(session: &Session) -> Result<Output, Failure> {
    let ask = |page_token| ListCampaignsRequest {
        page_size: 100,
        page_token,
    };
    let campaigns = pages::all(session, ask, |page| (page.campaigns, page.next_page_token));
    let campaigns = campaigns.await?.iter().map(described).collect();
    Ok(Output::list(campaigns, LIST))
}

pub(crate) async fn get(session: &Session, id: &str) -> Result<Campaign, Failure> {
    let campaign_id = id.to_owned();
    let answer = session.call(GetCampaignRequest { campaign_id }).await?;
    told(answer.campaign)
}

fn told(campaign: Option<Campaign>) -> Result<Campaign, Failure> {
    let nothing = || anyhow::anyhow!("quota answered without the campaign");
    Ok(campaign.ok_or_else(nothing)?)
}

fn shown(campaign: &Campaign) -> Output {
    Output::one(described(campaign), SHOW)
}

/// The campaign as the contract tells it, with the sums of its tiers' stock.
fn described(campaign: &Campaign) -> serde_json::Value {
    let sum = |of: fn(&TierStock) -> u64| -> u64 { campaign.stock.iter().map(of).sum() };
    let mut value = json(CAMPAIGN, campaign);
    let tiers = campaign.tiers.iter().map(|tier| {
        let price = format!("{} {}", tier.face_value_minor_units, campaign.currency_code);
        format!("{} ({price}, {} coupons)", tier.tier_id, tier.stock)
    });
    value["tiers_in_words"] = tiers.collect::<Vec<_>>().into();
    value["totals"] = json!({
        "stock": sum(|tier| tier.stock),
        "free": sum(|tier| tier.free),
        "leased": sum(|tier| tier.leased),
        "settled": sum(|tier| tier.settled),
    });
    value
}

async fn extend(session: &Session, id: String, until: Timestamp) -> Result<Output, Failure> {
    let message = ExtendValidityRequest {
        campaign_id: id,
        valid_until: Some(until),
    };
    Ok(shown(&told(session.call(message).await?.campaign)?))
}

async fn budget(session: &Session, addition: AddBudgetRequest) -> Result<Output, Failure> {
    let (added, request_id) = (addition.additional_stock, addition.request_id.clone());
    let answer = session.call(addition).await?;
    let note = match answer.replayed {
        true => format!("An earlier call with request id {request_id} had added them."),
        false => format!("{added} coupons were added (request id {request_id})."),
    };
    Ok(shown(&told(answer.campaign)?).with_note(note))
}

async fn end(session: &Session, campaign_id: String, reason: String) -> Result<Output, Failure> {
    let message = EndCampaignRequest {
        campaign_id,
        reason,
    };
    Ok(shown(&told(session.call(message).await?.campaign)?))
}

async fn audit(session: &Session, campaign_id: String) -> Result<Output, Failure> {
    const TIERS: &[Column] = &[
        ("TIER", "/tier_id"),
        ("STOCK", "/stock"),
        ("FREE", "/free"),
        ("LEASED", "/leased"),
        ("SETTLED", "/settled"),
        ("COUPONS", "/coupons"),
        ("OF LIVE LEASES", "/coupons_on_live_leases"),
    ];
    let message = AuditCampaignRequest { campaign_id };
    let report = session.call(message).await?;
    let coverage = report.coverage.clone().unwrap_or_default();
    let (compared, left_out) = (coverage.leases_compared, coverage.leases_left_out);
    let covered = match coverage.is_complete {
        true => format!("every one of {compared} leases was compared"),
        false => format!("{compared} leases were compared, {left_out} older ones were left out"),
    };
    let value = json("tidegate.quota.v1.AuditCampaignResponse", &report);
    let output = Output::one(value, TIERS).rows_at("/tiers");
    if report.difference_count == 0 {
        return Ok(output.with_note(format!("The books agree; {covered}.")));
    }
    let found = report.differences.iter();
    let found = found.map(|found| format!("! {}: {}\n", found.kind, found.description));
    let (many, found) = (report.difference_count, found.collect::<String>());
    let verdict = Failure::Different(format!("{many} differences; {covered}"));
    Ok(output.with_note(found.trim_end()).with_verdict(verdict))
}

/// Each change as one line or one JSON document, until the terminal is left.
async fn watch(
    session: &Session,
    campaign: Option<String>,
    global: &Global,
) -> Result<Output, Failure> {
    let ask = || WatchCampaignsRequest {};
    let open = |channel: Channel, request| async move {
        let mut quota = CampaignServiceClient::new(channel);
        quota.watch_campaigns(request).await
    };
    let mut changes = session.stream(Identity::Quota, ask, open).await?;
    print_heads(LIST, global.output)?;
    while let Some(step) = changes.message().await? {
        let Some(Event::Campaign(changed)) = step.event else {
            continue;
        };
        let id = &changed.campaign_id;
        if campaign.as_ref().is_none_or(|wanted| wanted == id) {
            Output::list(vec![described(&changed)], LIST).print_line(global.output)?;
        }
    }
    let ended = "Quota ended the stream; watch again to go on.";
    Ok(Output::said(ended))
}
