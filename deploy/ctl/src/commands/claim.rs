//! A claim as a shopper makes it, through the gateway.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, ClaimCouponResponse, QueuedClaim, claim_coupon_response::Outcome,
};
use tokio::time::{Instant, sleep_until};

use super::campaign::new_request_id;
use crate::{
    contract::json,
    failure::{Failure, with_request_id},
    moment::parse_length,
    output::{Column, Output},
    session::Session,
};

const ISSUED: &[Column] = &[
    ("coupon", "/issued/coupon/code"),
    ("tier", "/issued/coupon/tier_id"),
    ("valid until", "/issued/coupon/valid_until"),
    ("replayed", "/issued/replayed"),
    ("position", "/queued/position"),
    ("shortest wait", "/queued/shortest_wait"),
    ("longest wait", "/queued/longest_wait"),
    ("request", "/request_id"),
    ("trace", "/trace_id"),
];
const USUAL_POLL: Duration = Duration::from_secs(1);

/// Who claims.
#[derive(Debug, Args)]
pub struct Claim {
    campaign: String,
    #[arg(long, default_value = "tidegatectl")]
    shopper: String,
    /// Any, if none is named
    #[arg(long)]
    tier: Option<String>,
    /// The same on every retry; made if there is none
    #[arg(long)]
    request_id: Option<String>,
    /// How long to stay in a queue
    #[arg(long, value_parser = parse_length, default_value = "60s")]
    wait: Duration,
}

/// Claims, and waits in the queue as the answers say.
pub async fn run(claim: Claim, session: &Session) -> Result<Output, Failure> {
    let until = Instant::now() + claim.wait;
    let request_id = claim.request_id.unwrap_or_else(new_request_id);
    let mut message = ClaimCouponRequest {
        campaign_id: claim.campaign,
        shopper_id: claim.shopper,
        request_id: request_id.clone(),
        tier_id: claim.tier.unwrap_or_default(),
        ticket: String::new(),
        patience: None,
    };
    loop {
        let answer = with_request_id(&request_id, session.call(message.clone())).await?;
        let Some(Outcome::Queued(place)) = &answer.outcome else {
            return Ok(Output::one(told(&answer, &request_id), ISSUED));
        };
        let again_at = Instant::now() + poll_after(place);
        if again_at > until {
            let note = "Still in the queue. The ticket is not kept: a claim later begins at the end; say a longer --wait to stay.";
            return Ok(Output::one(told(&answer, &request_id), ISSUED).with_note(note));
        }
        if let Some(words) = place.messages.iter().find(|words| words.locale == "en") {
            eprintln!("{}", words.message);
        }
        message.ticket = place.ticket.clone();
        sleep_until(again_at).await;
    }
}

fn poll_after(place: &QueuedClaim) -> Duration {
    let after = place.poll_after.map(Duration::try_from);
    after.and_then(Result::ok).unwrap_or(USUAL_POLL)
}

/// The answer as the contract tells it, but for the ticket, which is a secret.
fn told(answer: &ClaimCouponResponse, request_id: &str) -> Value {
    let mut value = json("tidegate.gateway.v1.ClaimCouponResponse", answer);
    value["request_id"] = request_id.into();
    if let Some(ticket) = value.pointer_mut("/queued/ticket") {
        *ticket = Value::Null;
    }
    value
}
