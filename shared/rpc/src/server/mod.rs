//! Serving calls.

mod access;
mod addresses;
mod answer;
mod call;
mod call_stream;
mod caller_rates;
mod concern;
mod connection;
mod context;
mod deadline;
mod door;
mod fair_places;
mod held;
mod in_flight;
mod limits;
mod listener;
mod metrics;
mod peer;
mod places;
mod rate;
mod ready;
mod rule;
mod spans;
mod status;
mod work;

use std::sync::Arc;

use tidegate_auth::TlsIdentity;
use tidegate_proto::status::v1::status_service_server;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{body::Body, service::Routes};
use tower::service_fn;

pub use access::AccessRules;
pub use call_stream::CallHandlers;
use call_stream::StreamedCall;
pub use context::CallContext;
pub use deadline::{DEFAULT_DEADLINE, MAX_DEADLINE, for_next_hop};
pub use door::{CallLayer, CallPolicy};
pub use fair_places::{FairPlace, FairPlaces};
pub use limits::Limits;
pub use listener::{ConnectionLimits, Listener, MAX_CONNECTIONS, PortUnavailable};
pub use metrics::CallMetrics;
pub(crate) use metrics::code_name;
pub use rate::{Rate, RateBucket};
pub use rule::{Rule, faults_of_rules};
pub use status::{DatabaseLook, ReplicaStatus};
pub use work::Work;

/// Serves until `stop` is cancelled, then lets calls in flight finish. The caller bounds how long that may take.
pub async fn serve(
    listener: Listener,
    tls: Arc<TlsIdentity>,
    calls: CallLayer,
    routes: Routes,
    stop: CancellationToken,
) {
    let limits = listener.limits;
    let mut connections = listener.connections(tls, calls.metrics(), stop.clone());
    let (layers, handlers) = calls.layers();
    let routes = match handlers {
        Some(handlers) => {
            // A call over a stream passes the same layers as one of its own.
            let calls = layers.around(service_fn(StreamedCall::handle));
            routes.add_service(call_stream::server(handlers, calls))
        }
        None => routes,
    };
    let service = layers.around::<http::Request<Body>, _>(routes.prepare());
    let serving = TaskTracker::new();
    while let Some(connection) = connections.recv().await {
        serving.spawn(connection.serve(service.clone(), limits, stop.clone()));
    }
    serving.close();
    serving.wait().await;
}

/// Health and reflection, which every service offers beside its own and its [`ReplicaStatus`].
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
            .chain(&[status_service_server::SERVICE_NAME])
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    // Older tools ask for the alpha of reflection only.
    let routes = Routes::new(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes, health))
}
