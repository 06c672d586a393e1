//! Serving calls.

mod access;
mod addresses;
mod answer;
mod call;
mod deadline;
mod in_flight;
mod limits;
mod listener;
mod metrics;
mod rate;
mod ready;

use std::{sync::Arc, time::Duration};

use tidegate_auth::TlsIdentity;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};

pub use access::{AccessRules, Rule};
pub use call::{CallContext, CallLayer, CallPolicy};
pub use deadline::{DEFAULT_DEADLINE, MAX_DEADLINE, for_next_hop};
pub use limits::{Limits, Work};
pub use listener::{Listener, PortUnavailable};
pub use metrics::CallMetrics;
pub use rate::{Rate, RateBucket};

/// Calls in flight on one connection; more wait at the client.
const MAX_STREAMS_PER_CONNECTION: u32 = 2_000;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams a peer may open and reset before they were looked at; the guard against rapid resets. A caller whose deadlines pass together gives up all its calls at one moment, and several such crowds may pass while
/// this process is too busy to look.
const MAX_PENDING_RESETS: usize = 5 * MAX_STREAMS_PER_CONNECTION as usize;
/// Frames in a connection's life that come late for a call that was refused or given up. They are ordinary, but each costs an answer.
const MAX_LATE_FRAMES: usize = 1_000_000;

/// Serves until `stop` is cancelled, then lets calls in flight finish. The caller bounds how long that may take.
pub async fn serve(
    listener: Listener,
    tls: Arc<TlsIdentity>,
    calls: CallLayer,
    routes: Routes,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_LATE_FRAMES))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(calls)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            listener.connections(tls, stop.clone()),
            stop.cancelled_owned(),
        )
        .await
}

/// Health and reflection, which every service offers beside its own.
///
/// `names` are the full names of the service's own gRPC services. The health handle starts as NOT_SERVING for each, and for the empty name that means the whole process.
pub async fn standard_routes(
    descriptors: &'static [u8],
    names: &[&str],
) -> Result<(Routes, tonic_health::server::HealthReporter), tonic_reflection::server::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in names.iter().chain(&[""]) {
        health
            .set_service_status(*name, tonic_health::ServingStatus::NotServing)
            .await;
    }
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        names
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    // Older tools ask for the alpha of reflection only.
    let routes = Routes::new(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes, health))
}
