//! What a supporter needs to see, in one folder. No secret is in it: no token, key, code or shopper.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use tidegate_proto::quota::v1::ListCampaignsRequest;

use super::{doctor, queue, top::metrics_of};
use crate::{contract::json as as_json, failure::Failure, output::Output, session::Session};

const CAMPAIGNS: u32 = 100;

#[derive(Debug, Args)]
pub struct SupportBundle {
    /// A folder that does not exist yet
    #[arg(long, default_value = "tidegate-support")]
    folder: PathBuf,
}

/// Collects it. What cannot be had now is told in its place.
pub async fn run(bundle: SupportBundle, session: &Session) -> Result<Output, Failure> {
    let folder = &bundle.folder;
    let made = fs::create_dir(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))?;
    let replicas = doctor::run(session).await?;
    write(folder, "doctor.json", &pretty(replicas.value()))?;
    write(folder, "campaigns.json", &pretty(&campaigns(session).await))?;
    for service in doctor::SERVICES {
        for (number, address) in session.addresses(service).iter().enumerate() {
            let metrics = metrics_of(session, service, address).await;
            let text = metrics.unwrap_or_else(|failure| format!("# {failure}\n"));
            write(folder, &format!("metrics-{service}-{number}.txt"), &text)?;
        }
    }
    Ok(Output::said(format!(
        "It is in {}: replicas, campaigns with their queues, and metrics. Logs are not in it.",
        folder.display()
    )))
}

async fn campaigns(session: &Session) -> Value {
    let message = ListCampaignsRequest {
        page_size: CAMPAIGNS,
        page_token: String::new(),
    };
    let campaigns = match session.call(message).await {
        Ok(page) => page.campaigns,
        Err(failure) => return json!({ "error": failure.to_string() }),
    };
    let mut told = Vec::with_capacity(campaigns.len());
    for campaign in campaigns {
        let queue = match queue::get(session, &campaign.campaign_id).await {
            Ok(queue) => as_json("tidegate.quota.v1.GetQueueResponse", &queue),
            Err(failure) => json!({ "error": failure.to_string() }),
        };
        let campaign = as_json("tidegate.type.v1.Campaign", &campaign);
        told.push(json!({ "campaign": campaign, "queue": queue }));
    }
    Value::Array(told)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = folder.join(name);
    let written = fs::write(&file, text);
    Ok(written.with_context(|| format!("{} cannot be written", file.display()))?)
}
