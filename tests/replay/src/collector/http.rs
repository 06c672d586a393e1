//! Traces over HTTP, by the part of Tempo's API that reads one: `GET /api/traces/{trace_id}`, OTLP as JSON.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Collector, Span, TraceId};

const FAILED: u8 = 2;

impl Collector {
    /// Serves traces on a free port of 127.0.0.1 for as long as the process lives.
    pub async fn serve_http(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("the reader of traces finds no free port")?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/api/traces/{trace_id}", get(trace))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(address)
    }
}

async fn trace(
    State(collector): State<Collector>,
    Path(trace_id): Path<String>,
) -> Result<impl IntoResponse, StatusCode> {
    let trace_id = parse(&trace_id).ok_or(StatusCode::BAD_REQUEST)?;
    let spans = collector.trace(trace_id);
    if spans.is_empty() {
        return Err(StatusCode::NOT_FOUND);
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, json(&spans).to_string()))
}

pub fn json(spans: &[Span]) -> Value {
    json!({ "batches": spans.iter().map(batch).collect::<Vec<_>>() })
}

fn parse(text: &str) -> Option<TraceId> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32).then(|| number.to_be_bytes())
}

fn batch(span: &Span) -> Value {
    let status = if span.failed { FAILED } else { 0 };
    json!({
        "resource": { "attributes": [
            { "key": "service.name", "value": { "stringValue": span.service } },
        ] },
        "scopeSpans": [{ "spans": [{
            "traceId": hex(&span.trace_id),
            "spanId": hex(&span.span_id),
            "parentSpanId": hex(&span.parent_id),
            "name": span.name,
            "startTimeUnixNano": span.start_ns.to_string(),
            "endTimeUnixNano": span.end_ns.to_string(),
            "status": { "code": status },
        }] }],
    })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
