//! What is not as it should be, and what to do about it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;
use tidegate_auth::Identity;
use tidegate_proto::status::v1::DatabaseStatus;

use super::Examined;
use crate::session::Session;

/// Clocks that differ by more than this make openings and deadlines differ.
const MAX_CLOCK_OFF_MS: u64 = 1_000;
/// Certificates should be renewed long before.
const FEW_DAYS: u64 = 7;
const SLOW_DATABASE_US: u64 = 100_000;
const DAY_SECONDS: u64 = 86_400;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: String,
    pub todo: String,
}

fn finding(what: String, todo: &str) -> Finding {
    Finding {
        what,
        todo: todo.to_owned(),
    }
}

pub(super) fn days_until(moment: SystemTime) -> u64 {
    let left = moment.duration_since(SystemTime::now());
    left.map_or(0, |left| left.as_secs() / DAY_SECONDS)
}

/// Of this machine's own certificate and tokens.
pub(super) fn of_context(session: &Session) -> Vec<Finding> {
    let mut found = Vec::new();
    let days = days_until(session.tls().ends_at());
    if days < FEW_DAYS {
        found.push(finding(
            format!("the certificate of staff ends in {days} days"),
            "renew it: cert-manager does in Kubernetes; deploy/local/run makes new ones by itself",
        ));
    }
    let context = session.context();
    found.extend(of_token(&context.token_file));
    found.extend(context.shopper_token_file.as_deref().and_then(of_token));
    found
}

fn of_token(file: &Path) -> Option<Finding> {
    let name = file.display();
    let Ok(token) = fs::read_to_string(file) else {
        let todo = "tidegatectl token mint writes one for development";
        return Some(finding(format!("the token {name} cannot be read"), todo));
    };
    let ends = ends_at(token.trim())?;
    let left = ends.duration_since(SystemTime::now()).ok();
    let todo = "get a new one; in development tidegatectl token mint writes it";
    left.is_none()
        .then(|| finding(format!("the token {name} has ended"), todo))
}

/// When a token ends, read without checking it: the services check.
fn ends_at(token: &str) -> Option<SystemTime> {
    let content = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let content: Value = serde_json::from_slice(&content).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(content["exp"].as_u64()?))
}

pub(super) fn of_replica(examined: &Examined) -> Vec<Finding> {
    let who = format!("{} at {}", examined.service, examined.address);
    let status = match &examined.status {
        Ok(status) => status,
        Err(failure) => {
            let what = format!("{who}: {failure}");
            let usual = "see whether it runs, and whether this machine may reach it";
            let todo = failure.advice().unwrap_or_else(|| usual.to_owned());
            return vec![Finding { what, todo }];
        }
    };
    let off = examined.clock_off_by_ms().unwrap_or(0);
    let days = examined.certificate_days().unwrap_or(0);
    let mut found = those_that_are_so([
        (
            status.service != examined.service.name(),
            format!("{who} says that it is {}", status.service),
            "mend the addresses: tidegatectl context show",
        ),
        (
            !status.is_serving,
            format!("{who} is not serving"),
            "its log says what it waits for; it may be starting or leaving",
        ),
        (
            off.unsigned_abs() > MAX_CLOCK_OFF_MS,
            format!("the clock of {who} is off by {off} ms"),
            "set the clock there or here: chrony or systemd-timesyncd keep it",
        ),
        (
            days < FEW_DAYS,
            format!("the certificate of {who} ends in {days} days"),
            "renew it; services read the files again without a restart",
        ),
    ]);
    let database = status.database.as_ref();
    found.extend(
        database
            .into_iter()
            .flat_map(|database| of_database(&who, database)),
    );
    found
}

fn of_database(who: &str, database: &DatabaseStatus) -> Vec<Finding> {
    if !database.is_reachable {
        let what = format!("the database of {who}: {}", database.problem);
        let todo = "mend what it says; once it is back the replica goes on by itself";
        return vec![finding(what, todo)];
    }
    let (is, needed) = (database.schema_version, database.program_schema_version);
    let took = database.round_trip_us;
    those_that_are_so([
        (
            is < needed,
            format!("the database of {who} has schema {is}, its program needs {needed}"),
            "run the service's `migrate`",
        ),
        (
            !database.change_log_is_protected,
            format!("{who} could alter the record of changes in its database"),
            "as a superuser run shared/pg/queries/change_log.sql in that database",
        ),
        (
            took > SLOW_DATABASE_US,
            format!("the database of {who} took {took} us to answer"),
            "see whether it is busy, or far away",
        ),
    ])
}

fn those_that_are_so<const ALL: usize>(checks: [(bool, String, &str); ALL]) -> Vec<Finding> {
    let found = checks.into_iter().filter(|(is_so, ..)| *is_so);
    found.map(|(_, what, todo)| finding(what, todo)).collect()
}

/// Of replicas of one service that run different programs.
pub(super) fn of_versions(replicas: &[Examined]) -> Vec<Finding> {
    let differ = |service: Identity| {
        let of_service = replicas.iter().filter(|replica| replica.service == service);
        let answered = of_service.filter_map(|replica| replica.status.as_ref().ok());
        let versions: BTreeSet<_> = answered.map(|status| status.version.as_str()).collect();
        let versions: Vec<_> = versions.into_iter().collect();
        let told = versions.join(" and ");
        let what = format!("replicas of {service} run versions {told}");
        let todo = "right while a new version is rolled out; otherwise roll it out to its end";
        (versions.len() > 1).then(|| finding(what, todo))
    };
    super::SERVICES.into_iter().filter_map(differ).collect()
}

#[cfg(test)]
mod tests {
    use tidegate_proto::status::v1::GetStatusResponse;

    use super::*;

    fn examined(status: GetStatusResponse) -> Examined {
        Examined {
            service: Identity::Quota,
            address: "quota:7000".to_owned(),
            answered_in: Duration::from_millis(2),
            asked_at: SystemTime::now(),
            status: Ok(status),
        }
    }

    fn well() -> GetStatusResponse {
        let later = SystemTime::now() + Duration::from_secs(30 * DAY_SECONDS);
        GetStatusResponse {
            service: "quota".to_owned(),
            version: "0.1.0".to_owned(),
            is_serving: true,
            now: Some(SystemTime::now().into()),
            certificate_ends_at: Some(later.into()),
            database: Some(DatabaseStatus {
                is_reachable: true,
                schema_version: 9,
                program_schema_version: 9,
                change_log_is_protected: true,
                ..DatabaseStatus::default()
            }),
            ..GetStatusResponse::default()
        }
    }

    #[test]
    fn a_replica_that_is_well_gives_nothing_to_find() {
        assert_eq!(of_replica(&examined(well())), []);
    }

    #[test]
    fn each_thing_that_is_wrong_is_found_and_says_what_to_do() {
        let soon = SystemTime::now() + Duration::from_secs(2 * DAY_SECONDS + 60);
        let status = GetStatusResponse {
            is_serving: false,
            now: Some((SystemTime::now() + Duration::from_secs(90)).into()),
            certificate_ends_at: Some(soon.into()),
            database: Some(DatabaseStatus {
                is_reachable: true,
                schema_version: 8,
                program_schema_version: 9,
                ..DatabaseStatus::default()
            }),
            ..well()
        };
        let found = of_replica(&examined(status));
        let parts = [
            "is not serving",
            "clock",
            "ends in 2 days",
            "has schema 8",
            "record of changes",
        ];
        for part in parts {
            let mut told = found.iter().filter(|finding| finding.what.contains(part));
            assert!(told.next().is_some(), "{part} is missing in {found:?}");
        }
        assert!(found.iter().all(|finding| !finding.todo.is_empty()));
    }

    #[test]
    fn two_versions_of_one_service_are_found() {
        let newer = GetStatusResponse {
            version: "0.2.0".to_owned(),
            ..well()
        };
        let found = of_versions(&[examined(well()), examined(newer)]);
        let told = "replicas of quota run versions 0.1.0 and 0.2.0";
        assert_eq!(found[0].what, told);
    }
}
