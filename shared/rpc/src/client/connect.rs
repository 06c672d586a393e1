use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tidegate_auth::{Identity, TlsIdentity};
use tidegate_telemetry::TraceContext;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use crate::TRACEPARENT_HEADER;

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

/// A request that carries its trace and the time it may take.
pub fn with_context<T>(message: T, trace: TraceContext, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Ok(traceparent) = trace.traceparent().parse() {
        request
            .metadata_mut()
            .insert(TRACEPARENT_HEADER, traceparent);
    }
    // Sets the grpc-timeout header, and ends the call here as well if the peer does not keep to it.
    request.set_timeout(timeout);
    request
}
