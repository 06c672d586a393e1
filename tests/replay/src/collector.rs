//! Receives traces over OTLP/gRPC and keeps the latest of them in memory, so that one shopper's trace can be shown.

mod http;
mod trace;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Status, span::Link, status::StatusCode},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, transport::Server};

pub use http::{hex, json};

/// Spans kept, about half a kilobyte each; beyond it the oldest traces go.
const SPAN_LIMIT: usize = 200_000;
/// Links kept of one span: a commit links to every claim it carried.
const LINK_LIMIT: usize = 1_024;
/// A batch of 2,048 spans with their links is larger than tonic's usual limit.
const MESSAGE_LIMIT_BYTES: usize = 32 << 20;

pub type TraceId = [u8; 16];
pub type SpanId = [u8; 8];

/// One step of a trace, at one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// The step it is part of; all zeroes for a first one.
    pub parent_id: SpanId,
    pub name: String,
    pub service: String,
    pub start_ns: u64,
    pub end_ns: u64,
    pub failed: bool,
    /// Steps of other traces that it has to do with.
    pub links: Vec<(TraceId, SpanId)>,
}

/// A running receiver; dropping the last handle ends it.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    traces: Arc<Mutex<Traces>>,
    _server: Arc<AbortOnDropHandle<Result<(), tonic::transport::Error>>>,
}

impl Collector {
    /// Starts to receive on a free port of 127.0.0.1.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("the receiver of traces finds no free port")?;
        let address = listener.local_addr()?;
        let traces = Arc::new(Mutex::new(Traces::default()));
        let service = TraceServiceServer::new(Receiver(traces.clone()))
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let serve = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Ok(Self {
            address,
            traces,
            _server: Arc::new(AbortOnDropHandle::new(tokio::spawn(serve))),
        })
    }

    /// Where services send their spans.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn record(&self, span: Span) {
        lock(&self.traces).add(span);
    }

    /// The spans of a trace and those that its links lead to, one step and one more: the batch that carried a claim, its commit, and the
    /// lease the commit spent. In order of their beginning.
    pub fn trace(&self, trace_id: TraceId) -> Vec<Span> {
        trace::follow(&lock(&self.traces), trace_id)
    }
}

/// A panic elsewhere leaves nothing half done here: every change is one insertion.
fn lock(traces: &Mutex<Traces>) -> MutexGuard<'_, Traces> {
    traces.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Traces in the order of their first span.
#[derive(Debug, Default)]
struct Traces {
    spans: HashMap<TraceId, Vec<Span>>,
    /// Which spans of other traces link to a trace.
    linked_from: HashMap<TraceId, Vec<(TraceId, SpanId)>>,
    order: VecDeque<TraceId>,
    count: usize,
}

impl Traces {
    fn add(&mut self, mut span: Span) {
        span.links.truncate(LINK_LIMIT);
        for (target, _) in &span.links {
            if *target != span.trace_id {
                let from = self.linked_from.entry(*target).or_default();
                from.push((span.trace_id, span.span_id));
            }
        }
        self.count += 1;
        let spans = self.spans.entry(span.trace_id).or_default();
        if spans.is_empty() {
            self.order.push_back(span.trace_id);
        }
        spans.push(span);
        while self.count > SPAN_LIMIT {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, trace_id: TraceId) {
        let spans = self.spans.remove(&trace_id).unwrap_or_default();
        self.count -= spans.len();
        self.linked_from.remove(&trace_id);
        for (target, _) in spans.iter().flat_map(|span| &span.links) {
            if let Some(linked) = self.linked_from.get_mut(target) {
                linked.retain(|(from, _)| *from != trace_id);
                if linked.is_empty() {
                    self.linked_from.remove(target);
                }
            }
        }
    }
}

struct Receiver(Arc<Mutex<Traces>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, tonic::Status> {
        let spans = request.into_inner().resource_spans.into_iter();
        let mut traces = lock(&self.0);
        spans.flat_map(decode).for_each(|span| traces.add(span));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Spans with malformed ids are left out: they can be part of no trace.
fn decode(resource: ResourceSpans) -> impl Iterator<Item = Span> {
    let service = service_name(&resource);
    let scopes = resource.scope_spans.into_iter();
    let spans = scopes.flat_map(|scope| scope.spans);
    spans.filter_map(move |span| {
        let is_failed = |status: Status| status.code == StatusCode::Error as i32;
        let link = |link: Link| {
            Some((
                link.trace_id.try_into().ok()?,
                link.span_id.try_into().ok()?,
            ))
        };
        Some(Span {
            trace_id: span.trace_id.try_into().ok()?,
            span_id: span.span_id.try_into().ok()?,
            parent_id: span.parent_span_id.try_into().unwrap_or_default(),
            name: span.name,
            service: service.clone(),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano.max(span.start_time_unix_nano),
            failed: span.status.is_some_and(is_failed),
            links: span.links.into_iter().filter_map(link).collect(),
        })
    })
}

fn service_name(resource: &ResourceSpans) -> String {
    let resources = resource.resource.iter();
    let mut attributes = resources.flat_map(|resource| &resource.attributes);
    let name = attributes.find(|attribute| attribute.key == "service.name");
    match name.and_then(|name| name.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.strip_prefix("tidegate-").unwrap_or(name).to_owned(),
        _ => "unknown".to_owned(),
    }
}
