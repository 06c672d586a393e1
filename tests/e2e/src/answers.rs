use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    /// The reason, without which a refusal is no honest answer.
    pub reason: String,
    /// What machines are told beside the reason.
    pub metadata: HashMap<String, String>,
    /// When to try again; none if never.
    pub retry_after: Option<Duration>,
    pub fields: Vec<String>,
    /// The locales it speaks to people in.
    pub locales: Vec<String>,
    /// The pushback for gRPC's own retries.
    pub pushback: Option<String>,
}

pub fn refused(status: &Status) -> Refused {
    let details = status.get_error_details();
    let locales = status
        .get_error_details_vec()
        .into_iter()
        .filter_map(|detail| match detail {
            ErrorDetail::LocalizedMessage(words) => Some(words.locale),
            _ => None,
        });
    Refused {
        code: status.code(),
        reason: details
            .error_info()
            .map(|info| info.reason.clone())
            .unwrap_or_else(|| format!("no reason: {status}")),
        metadata: details
            .error_info()
            .map(|info| info.metadata.clone())
            .unwrap_or_default(),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
        fields: details
            .bad_request()
            .into_iter()
            .flat_map(|bad| &bad.field_violations)
            .map(|bad| bad.field.clone())
            .collect(),
        locales: locales.collect(),
        pushback: status
            .metadata()
            .get("grpc-retry-pushback-ms")
            .and_then(|value| Some(value.to_str().ok()?.to_owned())),
    }
}
