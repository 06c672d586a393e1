use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tidegate_auth::{Identity, TlsIdentity};
use tidegate_telemetry::{TraceContext, note, rename};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    GrpcMethod, Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tracing::{Metadata, Span};

use crate::TRACEPARENT_HEADER;

/// The span of a call, until it is known what is called.
pub(super) const CLIENT_SPAN: &str = "client call";
/// Covers TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// A peer that is silent for this long after a ping is taken for dead, so that a frozen one does not hold calls for ever.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Calls given up that are remembered, so that an answer on its way to one is expected.
const RESETS_REMEMBERED: usize = 2_000;

/// A channel to `address` (`host:port`) that connects when first used and again after every loss. The peer must prove to be `server`, whatever its address; certificates are taken as they are at
/// the moment of connecting.
pub fn channel(address: &str, server: Identity, tls: Arc<TlsIdentity>) -> Channel {
    let connector = tower::service_fn({
        let address: Arc<str> = address.into();
        move |_: http::Uri| connect(Arc::clone(&address), server, Arc::clone(&tls))
    });
    // The scheme is plain because encryption is the connector's own.
    let uri = http::Uri::builder()
        .scheme("http")
        .authority(server.server_name())
        .path_and_query("/")
        .build()
        .unwrap_or_default();
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_concurrent_reset_streams(RESETS_REMEMBERED)
        // Answers to calls that were given up longer ago count as the server's errors, and by default the 1,024th in its life ends the connection and every call on it.
        .http2_max_local_error_reset_streams(None)
        .connect_with_connector_lazy(connector)
}

async fn connect(
    address: Arc<str>,
    server: Identity,
    tls: Arc<TlsIdentity>,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let name = ServerName::try_from(server.server_name()).map_err(io::Error::other)?;
    let stream = TcpStream::connect(&*address).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(tls.client())
        .connect(name, stream)
        .await?;
    Ok(TokioIo::new(stream))
}

/// A channel whose calls carry the trace that they are made in.
pub type TracedChannel =
    InterceptedService<Channel, fn(Request<()>) -> Result<Request<()>, Status>>;

pub(super) fn traced(channel: Channel) -> TracedChannel {
    InterceptedService::new(channel, carry_trace)
}

/// Names the client's span, which begins before anybody here knows what is called.
fn carry_trace(mut request: Request<()>) -> Result<Request<()>, Status> {
    let current = Span::current().metadata().map(Metadata::name);
    if current == Some(CLIENT_SPAN)
        && let Some(called) = request.extensions().get::<GrpcMethod>()
    {
        let method = format!("{}/{}", called.service(), called.method());
        note("rpc.method", method.clone());
        rename(method);
    }
    if let Ok(traceparent) = TraceContext::current().traceparent().parse() {
        request
            .metadata_mut()
            .insert(TRACEPARENT_HEADER, traceparent);
    }
    Ok(request)
}
