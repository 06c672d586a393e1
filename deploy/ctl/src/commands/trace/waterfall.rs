//! Spans as bars over time.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

const BAR_COLUMNS: u64 = 40;
const NAME_COLUMNS: usize = 44;
const SERVICE_COLUMNS: usize = 13;
const MAX_DEPTH: usize = 8;
const MAX_SPANS: usize = 200;
const NANOSECONDS_OF_MICROSECOND: u64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    id: String,
    parent_id: String,
    service: String,
    name: String,
    start_ns: u64,
    duration_us: u64,
    failed: bool,
}

/// The spans of a trace in OTLP's JSON, in the order in which they began.
pub(super) fn spans(trace: &Value) -> Vec<Span> {
    let batches = [
        &trace["batches"],
        &trace["resourceSpans"],
        &trace["trace"]["resourceSpans"],
        &trace["result"]["resourceSpans"],
    ];
    let batches = batches.into_iter().find_map(Value::as_array);
    let mut found: Vec<_> = batches.into_iter().flatten().flat_map(of_batch).collect();
    found.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.duration_us)));
    found.truncate(MAX_SPANS);
    found
}

pub(super) fn begins_at_gateway(spans: &[Span]) -> bool {
    spans.iter().any(|span| span.service.ends_with("gateway"))
}

fn of_batch(batch: &Value) -> Vec<Span> {
    let attributes = batch["resource"]["attributes"].as_array();
    let mut attributes = attributes.into_iter().flatten();
    let service = attributes.find(|one| one["key"] == "service.name");
    let service = service.map_or("", |one| text(&one["value"]["stringValue"]));
    let scopes = batch["scopeSpans"].as_array().into_iter().flatten();
    let spans = scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten());
    spans.map(|span| of_json(service, span)).collect()
}

fn of_json(service: &str, span: &Value) -> Span {
    let start_ns = number(&span["startTimeUnixNano"]);
    let end_ns = number(&span["endTimeUnixNano"]);
    let status = &span["status"]["code"];
    Span {
        id: text(&span["spanId"]).to_owned(),
        parent_id: text(&span["parentSpanId"]).to_owned(),
        service: service.to_owned(),
        name: text(&span["name"]).to_owned(),
        start_ns,
        duration_us: end_ns.saturating_sub(start_ns) / NANOSECONDS_OF_MICROSECOND,
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

pub(super) fn drawn(spans: &[Span]) -> String {
    let begins = spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
    let end = |span: &Span| span.start_ns + span.duration_us * NANOSECONDS_OF_MICROSECOND;
    let ends = spans.iter().map(end).max().unwrap_or(begins);
    let whole = (ends - begins).max(1);
    let place = |at: u64| (at - begins) * BAR_COLUMNS / whole;
    let mut lines = String::new();
    for (depth, span) in in_tree_order(spans) {
        let from = place(span.start_ns).min(BAR_COLUMNS - 1);
        let to = place(end(span)).max(from + 1);
        let bar = " ".repeat(from as usize) + &"█".repeat((to - from) as usize);
        let name = format!("{}{}", "  ".repeat(depth.min(MAX_DEPTH)), short(&span.name));
        let name: String = name.chars().take(NAME_COLUMNS).collect();
        let failed = if span.failed { " FAILED" } else { "" };
        lines += &format!(
            "{:<SERVICE_COLUMNS$} {name:<NAME_COLUMNS$} {bar:<width$} {:>9.2} ms{failed}\n",
            span.service,
            span.duration_us as f64 / 1_000.0,
            width = BAR_COLUMNS as usize,
        );
    }
    lines.trim_end().to_owned()
}

/// A method without its package: the service stands beside it.
fn short(name: &str) -> &str {
    match name.split_once('/') {
        Some((service, _)) if service.starts_with("tidegate.") => {
            let package = service.rfind('.').map_or(0, |dot| dot + 1);
            &name[package..]
        }
        _ => name,
    }
}

/// Each span after the one it is part of, and how deep it is.
fn in_tree_order(spans: &[Span]) -> Vec<(usize, &Span)> {
    let known: HashSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut children: HashMap<&str, Vec<&Span>> = HashMap::new();
    let mut waiting: Vec<(usize, &Span)> = Vec::new();
    for span in spans {
        if known.contains(span.parent_id.as_str()) && span.parent_id != span.id {
            children.entry(&span.parent_id).or_default().push(span);
        } else {
            waiting.push((0, span));
        }
    }
    waiting.reverse();
    let mut ordered = Vec::with_capacity(spans.len());
    while let Some((depth, span)) = waiting.pop() {
        ordered.push((depth, span));
        let parts = children.remove(span.id.as_str()).unwrap_or_default();
        waiting.extend(parts.into_iter().rev().map(|part| (depth + 1, part)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trace() -> Value {
        let span = |id: &str, parent: &str, name: &str, from: u64, to: u64, code: u64| {
            json!({
                "spanId": id, "parentSpanId": parent, "name": name,
                "startTimeUnixNano": from.to_string(), "endTimeUnixNano": to.to_string(),
                "status": { "code": code },
            })
        };
        let service = |name: &str, spans: Vec<Value>| {
            json!({
                "resource": { "attributes": [
                    { "key": "service.name", "value": { "stringValue": name } },
                ] },
                "scopeSpans": [{ "spans": spans }],
            })
        };
        json!({ "batches": [
            service("issuance", vec![span("b", "a", "IssueCoupons", 2_000_000, 6_000_000, 2)]),
            service("gateway", vec![span("a", "", "ClaimCoupon", 0, 8_000_000, 0)]),
        ] })
    }

    #[test]
    fn steps_stand_below_the_one_they_are_part_of() {
        let drawn = drawn(&spans(&trace()));
        let lines: Vec<_> = drawn.lines().collect();
        assert!(lines[0].starts_with("gateway"), "{drawn}");
        assert!(
            lines[1].contains("  IssueCoupons") && lines[1].ends_with("FAILED"),
            "{drawn}"
        );
        let bar = lines[1].chars().filter(|c| *c == '█').count();
        assert_eq!(bar, 20, "{drawn}");
    }

    #[test]
    fn a_span_that_is_its_own_parent_is_drawn_once() {
        let span = Span {
            id: "a".to_owned(),
            parent_id: "a".to_owned(),
            service: String::new(),
            name: "odd".to_owned(),
            start_ns: 0,
            duration_us: 1,
            failed: false,
        };
        assert_eq!(in_tree_order(&[span]).len(), 1);
    }
}
