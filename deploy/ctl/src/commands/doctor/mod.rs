//! How every replica is, and what to do about what is not as it should be.

mod findings;

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_auth::Identity;
use tidegate_proto::status::v1::{GetStatusRequest, GetStatusResponse};

use crate::{
    contract::json as as_json,
    failure::Failure,
    output::{Column, Output},
    session::Session,
};

pub use findings::Finding;

const REPLICAS: &[Column] = &[
    ("SERVICE", "/service"),
    ("ADDRESS", "/address"),
    ("REPLICA", "/status/replica_id"),
    ("VERSION", "/status/version"),
    ("SERVING", "/status/is_serving"),
    ("ANSWERED IN MS", "/answered_in_ms"),
    ("CLOCK OFF BY MS", "/clock_off_by_ms"),
    ("CERTIFICATE DAYS", "/certificate_days"),
    ("DATABASE", "/database_in_words"),
];
/// Every service, in the order of a claim's way.
pub const SERVICES: [Identity; 4] = [
    Identity::Gateway,
    Identity::Quota,
    Identity::Issuance,
    Identity::OrderIntake,
];

#[derive(Debug)]
pub struct Examined {
    pub service: Identity,
    pub address: String,
    /// By this machine's clock.
    pub asked_at: SystemTime,
    pub answered_in: Duration,
    pub status: Result<GetStatusResponse, Failure>,
}

/// Looks at all of them. Fails in the end if anything was found.
pub async fn run(session: &Session) -> Result<Output, Failure> {
    let replicas = examine(session).await;
    let mut findings = findings::of_context(session);
    findings.extend(replicas.iter().flat_map(findings::of_replica));
    findings.extend(findings::of_versions(&replicas));
    let value = json!({
        "replicas": replicas.iter().map(described).collect::<Vec<_>>(),
        "findings": findings,
    });
    let words: String = findings
        .iter()
        .map(|Finding { what, todo }| format!("\n! {what}\n  {todo}"))
        .collect();
    let output = Output::one(value, REPLICAS).rows_at("/replicas");
    if findings.is_empty() {
        return Ok(output.with_note("\nNothing was found."));
    }
    let verdict = Failure::Different(match findings.len() {
        1 => "one thing is not as it should be".to_owned(),
        many => format!("{many} things are not as they should be"),
    });
    Ok(output.with_note(words).with_verdict(verdict))
}

pub async fn examine(session: &Session) -> Vec<Examined> {
    let replicas = SERVICES.into_iter().flat_map(|service| {
        let addresses = session.addresses(service).iter();
        addresses.map(move |address| (service, address))
    });
    let asked = replicas.map(async |(service, address)| {
        let (began, asked_at) = (Instant::now(), SystemTime::now());
        let status = session.call_at((service, address), GetStatusRequest {});
        Examined {
            service,
            address: address.clone(),
            asked_at,
            status: status.await,
            answered_in: began.elapsed(),
        }
    });
    join_all(asked).await
}

impl Examined {
    /// By how much its clock is ahead of this machine's at least, in milliseconds. It read its clock
    /// after it was asked and before it had answered; within that, nobody can tell.
    pub fn clock_off_by_ms(&self) -> Option<i64> {
        let now = SystemTime::try_from(self.status.as_ref().ok()?.now?).ok()?;
        let ms = |length: Duration| i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let ahead = now.duration_since(self.asked_at + self.answered_in);
        let behind = self.asked_at.duration_since(now);
        Some(ahead.map_or(0, ms) - behind.map_or(0, ms))
    }

    pub fn certificate_days(&self) -> Option<u64> {
        let ends = SystemTime::try_from(self.status.as_ref().ok()?.certificate_ends_at?).ok()?;
        Some(findings::days_until(ends))
    }
}

fn described(examined: &Examined) -> Value {
    let status = examined.status.as_ref().ok();
    let database = status.map(|status| match &status.database {
        None => "none".to_owned(),
        Some(database) if database.is_reachable => format!(
            "{} in {} us, schema {}",
            database.server_version, database.round_trip_us, database.schema_version
        ),
        Some(database) => database.problem.clone(),
    });
    json!({
        "service": examined.service.name(),
        "address": examined.address,
        "answered_in_ms": u64::try_from(examined.answered_in.as_millis()).unwrap_or(u64::MAX),
        "clock_off_by_ms": examined.clock_off_by_ms(),
        "certificate_days": examined.certificate_days(),
        "database_in_words": database,
        "error": examined.status.as_ref().err().map(ToString::to_string),
        "status": status.map(|status| as_json("tidegate.status.v1.GetStatusResponse", status)),
    })
}
