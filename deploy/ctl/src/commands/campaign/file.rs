//! Campaigns that are written down.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{json, to_value};
use tidegate_proto::{
    quota::v1::{AddBudgetRequest, UpdateCampaignRequest},
    r#type::v1::Campaign,
};
use tidegate_types::Reason;

use super::{get, shown, told};
use crate::{
    arguments::Global,
    confirm::confirm,
    contract::json as as_json,
    failure::Failure,
    output::{Column, Output},
    session::Session,
    spec::{self, CampaignSpec, Comparison, FromFile},
};

const DIFFERENCES: &[Column] = &[("FIELD", "/field"), ("NOW", "/now"), ("WANTED", "/wanted")];

pub(super) fn written(campaign: &Campaign) -> Result<Output, Failure> {
    let spec = to_value(CampaignSpec::of(campaign)).map_err(anyhow::Error::from)?;
    let text = serde_saphyr::to_string(&spec).map_err(anyhow::Error::from)?;
    Ok(Output::one(spec, &[]).with_note(text.trim_end()))
}

pub(super) async fn create(from: FromFile, session: &Session) -> Result<Output, Failure> {
    let spec: CampaignSpec = spec::read(&from.file)?;
    let request = spec.create(&from.reason(), Timestamp::now());
    let request = request.map_err(Failure::Usage)?;
    if from.dry_run {
        let value = as_json("tidegate.quota.v1.CreateCampaignRequest", &request);
        let note = format!("{} would be made; nothing was done.", spec.campaign_id);
        return Ok(Output::one(value, &[]).with_note(note));
    }
    let campaign = told(session.call(request).await?.campaign)?;
    let note = format!(
        "\nWatch it: tidegatectl campaign watch {}",
        campaign.campaign_id
    );
    Ok(shown(&campaign).with_note(note))
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
    let Some(differing) = differing(&compared) else {
        return Ok(as_written(&spec));
    };
    if from.dry_run {
        return Ok(differing.with_note("Nothing was done."));
    }
    let mut differences = compared.differences.iter();
    if differences.any(|difference| difference.field == "closes_at") {
        let question = format!("{} will close at another time.", spec.campaign_id);
        confirm(&question, global.yes)?;
    }
    if let Some(change) = compared.change {
        let message = UpdateCampaignRequest {
            reason: from.reason(),
            ..change
        };
        told(session.call(message).await?.campaign)?;
    }
    for addition in compared.budgets {
        let addition = AddBudgetRequest {
            reason: from.reason(),
            ..addition
        };
        session.call(addition).await?;
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
    let compared = spec.compare(&campaign).map_err(Failure::Usage)?;
    let verdict = format!("{} differs from the file", spec.campaign_id);
    Ok(match differing(&compared) {
        Some(differing) => differing.with_verdict(Failure::Different(verdict)),
        None => as_written(&spec),
    })
}

fn differing(compared: &Comparison) -> Option<Output> {
    let values: Vec<_> = compared.differences.iter().map(|one| json!(one)).collect();
    (!values.is_empty()).then(|| Output::list(values, DIFFERENCES))
}

fn as_written(spec: &CampaignSpec) -> Output {
    Output::said(format!("{} is as the file says.", spec.campaign_id))
}

async fn find(session: &Session, id: &str) -> Result<Option<Campaign>, Failure> {
    match get(session, id).await {
        Err(failure) if failure.is_because(Reason::CampaignNotFound) => Ok(None),
        found => found.map(Some),
    }
}
