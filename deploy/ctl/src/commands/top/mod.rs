//! How the suite is at this moment: rates, stock, queues, refusals, latency, replicas.

mod screen;
mod view;

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use futures_util::future::join_all;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{GetQueueResponse, ListCampaignsRequest},
    status::v1::GetMetricsRequest,
    r#type::v1::Campaign,
};
use tokio::time::{Instant, sleep};

use super::{
    doctor::{Examined, examine},
    queue,
};
use crate::{
    failure::Failure, metrics::Metrics, moment::parse_length, output::Output, session::Session,
};

use view::View;

/// Queues that are looked at; one call each.
const MOST_QUEUES: usize = 20;
const CAMPAIGNS_SHOWN: u32 = 20;

/// How often, and how long.
#[derive(Debug, Args)]
pub struct Top {
    /// How often to look
    #[arg(long, value_parser = parse_length, default_value = "2s")]
    every: Duration,
    /// Look twice, tell what was seen, and end
    #[arg(long)]
    once: bool,
}

pub struct Seen {
    at: Instant,
    /// Without metrics if they could not be read.
    replicas: Vec<(Examined, Option<Metrics>)>,
    campaigns: Vec<Campaign>,
    queues: Vec<(String, GetQueueResponse)>,
}

/// Shows it until the terminal is left. Nothing, if it was shown live.
pub async fn run(top: Top, session: &Session) -> Result<Option<Output>, Failure> {
    if !top.once && std::io::stdout().is_terminal() {
        screen::run(top.every, session).await?;
        return Ok(None);
    }
    let before = look(session).await;
    sleep(top.every).await;
    let mut after = look(session).await;
    // If nobody answers, why is told in place of a table of nothing.
    if after
        .replicas
        .iter()
        .all(|(replica, _)| replica.status.is_err())
        && let Some((replica, _)) = after.replicas.pop()
        && let Err(failure) = replica.status
    {
        return Err(failure);
    }
    let view = View::between(&before, &after);
    Ok(Some(view.table().with_note(view.words())))
}

async fn look(session: &Session) -> Seen {
    let message = ListCampaignsRequest {
        page_size: CAMPAIGNS_SHOWN,
        page_token: String::new(),
    };
    // What cannot be read now is shown as missing; the others still are.
    let page = session.call(message).await;
    let campaigns = page.map_or(Vec::new(), |page| page.campaigns);
    let mut queues = Vec::new();
    let running = campaigns.iter().filter(|campaign| !campaign.sold_out);
    for campaign in running.take(MOST_QUEUES) {
        if let Ok(queue) = queue::get(session, &campaign.campaign_id).await {
            queues.push((campaign.campaign_id.clone(), queue));
        }
    }
    let examined = examine(session).await.into_iter();
    let replicas = examined.map(async |examined| {
        let text = metrics_of(session, examined.service, &examined.address);
        let metrics = text.await.ok().map(|text| Metrics::parse(&text));
        (examined, metrics)
    });
    Seen {
        replicas: join_all(replicas).await,
        at: Instant::now(),
        campaigns,
        queues,
    }
}

pub async fn metrics_of(
    session: &Session,
    service: Identity,
    address: &str,
) -> Result<String, Failure> {
    let answer = session.call_at((service, address), GetMetricsRequest {});
    Ok(answer.await?.text)
}
