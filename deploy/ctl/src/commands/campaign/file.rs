//! Campaigns that are written down.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{json, to_value};
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{
        AddBudgetRequest, CreateCampaignRequest, UpdateCampaignRequest,
        campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::Campaign,
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;

use super::{add_budget, get, shown, told};
use crate::{
    arguments::Global,
    confirm::confirm,
    contract::json as as_json,
    failure::Failure,
    output::{Column, Output},
    session::Session,
    spec::{self, CampaignSpec},
};

const DIFFERENCES: &[Column] = &[("FIELD", "/field"), ("NOW", "/now"), ("WANTED", "/wanted")];

/// A campaign from a file.
#[derive(Debug, Args)]
pub struct FromFile {
    /// YAML; `-` is standard input. tidegatectl schema campaign tells its form
    #[arg(short, long)]
    file: PathBuf,
    /// Tell what would be done, and don't do it
    #[arg(long)]
    dry_run: bool,
    /// Why; kept in the history. The file's name if none is given
    #[arg(long)]
    reason: Option<String>,
}

impl FromFile {
    fn reason(&self) -> String {
        let reason = self.reason.clone();
        reason.unwrap_or_else(|| spec::as_reason(&self.file))
    }
}

/// The campaign as a file.
pub(super) fn written(campaign: &Campaign) -> Result<Output, Failure> {
    let spec = to_value(CampaignSpec::of(campaign)).map_err(anyhow::Error::from)?;
    let text = serde_saphyr::to_string(&spec).map_err(anyhow::Error::from)?;
    Ok(Output::one(spec, &[]).with_note(text.trim_end()))
}

pub(super) async fn create(from: FromFile, session: &Session) -> Result<Output, Failure> {
    let spec: CampaignSpec = spec::read(&from.file)?;
    let request = spec
        .create(&from.reason(), Timestamp::now())
        .map_err(Failure::Usage)?;
    if from.dry_run {
        let value = as_json("tidegate.quota.v1.CreateCampaignRequest", &request);
        let note = format!("{} would be made; nothing was done.", spec.campaign_id);
        return Ok(Output::one(value, &[]).with_note(note));
    }
    let campaign = make(session, request).await?;
    let note = format!(
        "\nWatch it: tidegatectl campaign watch {}",
        campaign.campaign_id
    );
    Ok(shown(&campaign).with_note(note))
}

async fn make(session: &Session, request: CreateCampaignRequest) -> Result<Campaign, Failure> {
    let answer = session.call(Identity::Quota, request, |channel, request| async move {
        CampaignServiceClient::new(channel)
            .create_campaign(request)
            .await
    });
    told(answer.await?.campaign)
}

pub(super) async fn apply(
    from: FromFile,
    session: &Session,
    global: &Global,
) -> Result<Output, Failure> {
    let spec: CampaignSpec = spec::read(&from.file)?;
    let Some(campaign) = find(session, &spec.campaign_id).await? else {
        return create(from, session).await;
    };
    let compared = spec.compare(&campaign).map_err(Failure::Usage)?;
    let differences = &compared.differences;
    let values = differences
        .iter()
        .map(|difference| json!(difference))
        .collect();
    let differing = Output::list(values, DIFFERENCES);
    if differences.is_empty() {
        return Ok(Output::said(format!(
            "{} is as the file says.",
            spec.campaign_id
        )));
    }
    if from.dry_run {
        return Ok(differing.with_note("Nothing was done."));
    }
    if differences
        .iter()
        .any(|difference| difference.field == "closes_at")
    {
        let question = format!("{} will close at another time.", spec.campaign_id);
        confirm(&question, global.yes)?;
    }
    if compared.changes_terms() {
        let message = UpdateCampaignRequest {
            reason: from.reason(),
            ..compared.change
        };
        let answer = session.call(Identity::Quota, message, |channel, request| async move {
            CampaignServiceClient::new(channel)
                .update_campaign(request)
                .await
        });
        told(answer.await?.campaign)?;
    }
    for addition in compared.budgets {
        let addition = AddBudgetRequest {
            reason: from.reason(),
            ..addition
        };
        add_budget(session, addition).await?;
    }
    Ok(differing.with_note(format!("{} was changed.", spec.campaign_id)))
}

pub(super) async fn diff(file: &Path, session: &Session) -> Result<Output, Failure> {
    let spec: CampaignSpec = spec::read(file)?;
    let Some(campaign) = find(session, &spec.campaign_id).await? else {
        return Err(Failure::Different(format!(
            "{} does not exist yet",
            spec.campaign_id
        )));
    };
    let differences = spec.compare(&campaign).map_err(Failure::Usage)?.differences;
    if differences.is_empty() {
        return Ok(Output::said(format!(
            "{} is as the file says.",
            spec.campaign_id
        )));
    }
    let values = differences.iter().map(|difference| json!(difference));
    let verdict = format!("{} differs from the file", spec.campaign_id);
    Ok(Output::list(values.collect(), DIFFERENCES).with_verdict(Failure::Different(verdict)))
}

async fn find(session: &Session, id: &str) -> Result<Option<Campaign>, Failure> {
    match get(session, id).await {
        Ok(campaign) => Ok(Some(campaign)),
        Err(Failure::Refused(status)) if reason_of(&status) == Some(Reason::CampaignNotFound) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}
