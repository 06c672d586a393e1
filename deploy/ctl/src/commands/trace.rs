//! One claim, coupon or order over all services, from a backend of traces.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tidegate_proto::issuance::v1::FindCouponsRequest;
use tokio::time::{Instant, sleep};

use super::order;
use crate::{
    failure::Failure,
    output::{Format, Output},
    session::Session,
    waterfall::{Span, Waterfall, spans},
};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// By then every service has sent its spans.
const SENT_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TRACE_ID_CHARACTERS: usize = 32;

/// Which one.
#[derive(Debug, Args)]
pub struct Trace {
    /// A trace id of 32 hexadecimal digits, or an order's id
    #[arg(required_unless_present = "shopper")]
    id: Option<String>,
    /// The claim of a coupon of this shopper, the newest if no ending is said
    #[arg(long, conflicts_with = "id")]
    shopper: Option<String>,
    /// The last characters of the coupon's code
    #[arg(long, requires = "shopper")]
    ending: Option<String>,
}

pub async fn run(trace: Trace, session: &Session, format: Format) -> Result<Output, Failure> {
    let trace_id = trace_id(trace, session).await?;
    let traces = session.context().traces.clone().ok_or_else(|| {
        Failure::Usage(format!(
            "the context names no backend of traces; {trace_id} is the trace to look for"
        ))
    })?;
    let spans = whole(&traces, &trace_id).await?;
    if spans.is_empty() {
        return Err(Failure::NotFound(format!(
            "{traces} has no trace {trace_id}: it was not sampled, or is forgotten"
        )));
    }
    let output = Output::one(json!({ "trace_id": &trace_id, "spans": &spans }), &[]);
    Ok(match format {
        Format::Table => {
            let drawn = Waterfall::new(&trace_id, &spans).text();
            output.with_note(drawn.trim_end())
        }
        Format::Json | Format::Yaml | Format::Csv => output,
    })
}

/// The spans of a trace. Services send theirs some seconds late, each for itself, and all that is
/// traced begins at a gateway: until its span is there, others are still on their way.
async fn whole(traces: &str, trace_id: &str) -> Result<Vec<Span>, Failure> {
    let until = Instant::now() + SENT_WITHIN;
    loop {
        let spans = spans(&fetch(traces, trace_id).await?);
        let begins_at_gateway = spans.iter().any(|span| span.service == "gateway");
        if begins_at_gateway || Instant::now() >= until {
            return Ok(spans);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn trace_id(trace: Trace, session: &Session) -> Result<String, Failure> {
    let known = |id: String| match id.is_empty() {
        true => Err(Failure::NotFound("it was made without a trace".to_owned())),
        false => Ok(id),
    };
    if let Some(id) = trace.id {
        let is_trace = id.len() == TRACE_ID_CHARACTERS && id.chars().all(|c| c.is_ascii_hexdigit());
        if is_trace {
            return Ok(id.to_ascii_lowercase());
        }
        return known(order::find(session, &id).await?.trace_id);
    }
    let message = FindCouponsRequest {
        shopper_id: trace.shopper.unwrap_or_default(),
        code_ending: trace.ending.unwrap_or_default(),
        ..FindCouponsRequest::default()
    };
    let found = session.call(message).await?.coupons;
    let newest = found.into_iter().find_map(|found| found.coupon);
    let newest = newest.ok_or_else(|| Failure::NotFound("the shopper has no coupon".to_owned()))?;
    known(newest.claim_trace_id)
}

/// OTLP as JSON, by Tempo's API, which other backends offer as well.
async fn fetch(traces: &str, trace_id: &str) -> Result<Value, Failure> {
    let url = format!("{}/api/traces/{trace_id}", traces.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).build();
    let client = client.map_err(anyhow::Error::from)?;
    let asked = client.get(&url).header("accept", "application/json");
    let answer = asked.send().await.map_err(|error| {
        let what = format!("the backend of traces at {traces} cannot be reached: {error}");
        Failure::NotInTime(what)
    })?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(Value::Null);
    }
    let good = answer.error_for_status().map_err(anyhow::Error::from)?;
    Ok(good.json().await.map_err(anyhow::Error::from)?)
}
