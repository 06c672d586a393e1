//! Waiting rooms.

use clap::Subcommand;
use serde_json::Value;
use tidegate_proto::quota::v1::{GetQueueRequest, GetQueueResponse};

use crate::{
    contract::json,
    failure::Failure,
    output::{Column, Output},
    session::Session,
};

const SHOW: &[Column] = &[
    ("queueing", "/is_queueing"),
    ("waiting", "/waiting"),
    ("oldest joined at", "/oldest_joined_at"),
    ("pace a second, slowest", "/slowest_pace_per_second"),
    ("pace a second, fastest", "/fastest_pace_per_second"),
    ("could serve a second", "/able_per_second"),
    ("turns called", "/called"),
    ("turns at doors", "/at_door"),
    ("permits nobody uses", "/credit"),
    ("coupons left", "/remaining"),
    ("gateways", "/gateways_in_words"),
];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who waits, for how long, and what each gateway could serve
    Show { campaign: String },
}

pub async fn run(command: Command, session: &Session) -> Result<Output, Failure> {
    let Command::Show { campaign } = command;
    let queue = get(session, &campaign).await?;
    Ok(Output::one(described(&queue), SHOW))
}

pub(crate) async fn get(session: &Session, campaign: &str) -> Result<GetQueueResponse, Failure> {
    let campaign_id = campaign.to_owned();
    session.call(GetQueueRequest { campaign_id }).await
}

fn described(queue: &GetQueueResponse) -> Value {
    let mut value = json("tidegate.quota.v1.GetQueueResponse", queue);
    let gateways = queue.gateways.iter().map(|gateway| {
        format!(
            "{}: {} wait, {} at its door, serves {:.0}/s of {:.0}/s, can take {:.0} more",
            gateway.gateway_id,
            gateway.waiting,
            gateway.at_door,
            gateway.served_per_second,
            gateway.able_per_second,
            gateway.can_take
        )
    });
    value["gateways_in_words"] = gateways.collect::<Vec<_>>().into();
    value
}
