//! Spans, as backends of traces give them.

use serde::Serialize;
use serde_json::Value;

const MAX_SPANS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    pub trace_id: String,
    pub id: String,
    /// The step it is part of; that of no span for a first one.
    pub parent_id: String,
    pub service: String,
    pub name: String,
    pub start_ns: u64,
    pub end_ns: u64,
    pub failed: bool,
}

/// The spans of a trace in OTLP's JSON, in the order in which they began.
pub fn spans(trace: &Value) -> Vec<Span> {
    let batches = [
        &trace["batches"],
        &trace["resourceSpans"],
        &trace["trace"]["resourceSpans"],
        &trace["result"]["resourceSpans"],
    ];
    let batches = batches.into_iter().find_map(Value::as_array);
    let mut found: Vec<_> = batches.into_iter().flatten().flat_map(of_batch).collect();
    found.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.end_ns)));
    found.truncate(MAX_SPANS);
    found
}

fn of_batch(batch: &Value) -> Vec<Span> {
    let attributes = batch["resource"]["attributes"].as_array();
    let mut attributes = attributes.into_iter().flatten();
    let service = attributes.find(|one| one["key"] == "service.name");
    let service = service.map_or("", |one| text(&one["value"]["stringValue"]));
    let service = service.strip_prefix("tidegate-").unwrap_or(service);
    let scopes = batch["scopeSpans"].as_array().into_iter().flatten();
    let spans = scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten());
    spans.map(|span| of_json(service, span)).collect()
}

fn of_json(service: &str, span: &Value) -> Span {
    let start_ns = number(&span["startTimeUnixNano"]);
    let status = &span["status"]["code"];
    Span {
        trace_id: text(&span["traceId"]).to_owned(),
        id: text(&span["spanId"]).to_owned(),
        parent_id: text(&span["parentSpanId"]).to_owned(),
        service: service.to_owned(),
        name: text(&span["name"]).to_owned(),
        start_ns,
        end_ns: number(&span["endTimeUnixNano"]).max(start_ns),
        failed: *status == "STATUS_CODE_ERROR" || *status == 2,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// 64 bits are text in JSON, and some write a number.
fn number(value: &Value) -> u64 {
    let read = value.as_str().and_then(|text| text.parse().ok());
    read.or_else(|| value.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_read_in_the_order_in_which_they_began() {
        let batch = |service: &str, id: &str, from: u64, code: Value| {
            json!({
                "resource": { "attributes": [
                    { "key": "service.name", "value": { "stringValue": service } },
                ] },
                "scopeSpans": [{ "spans": [{
                    "spanId": id, "startTimeUnixNano": from.to_string(), "endTimeUnixNano": 8_000,
                    "status": { "code": code },
                }] }],
            })
        };
        let trace = json!({ "batches": [
            batch("tidegate-issuance", "b", 2_000, json!(2)),
            batch("gateway", "a", 1_000, json!("STATUS_CODE_OK")),
        ] });
        let read = spans(&trace).into_iter();
        let read: Vec<_> = read
            .map(|span| (span.service, span.start_ns, span.end_ns, span.failed))
            .collect();
        let expected = [
            ("gateway".to_owned(), 1_000, 8_000, false),
            ("issuance".to_owned(), 2_000, 8_000, true),
        ];
        assert_eq!(read, expected);
    }
}
