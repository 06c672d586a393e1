use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::listener::{Connection, ConnectionLimits};
use crate::coalesced::{Coalesced, WRITE_INTERVAL};

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

impl Connection {
    /// Answers calls until the peer goes. It is told to when its time has come, or at `stop`, and the calls in flight are answered before it is gone; only the end of its certificate cuts what is left.
    pub(super) async fn serve<S>(self, calls: S, limits: ConnectionLimits, stop: CancellationToken)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let peer = Arc::clone(&self.peer);
        let of_call = Arc::clone(&peer);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Arc::clone(&of_call));
            calls.clone().oneshot(request)
        });
        // Services send batches: their calls are few, and a pause at each hop would add up.
        let interval = match peer.identity {
            Some(identity) if identity.is_service() => Duration::ZERO,
            _ => WRITE_INTERVAL,
        };
        let stream = TokioIo::new(Coalesced::new(self, interval));
        let mut served = pin!(http2().serve_connection(stream, service));
        let mut certificate_ended = pin!(peer.certificate_ended());
        tokio::select! {
            // However it ended, nobody is there to be told.
            _ = &mut served => return,
            () = &mut certificate_ended => return,
            () = peer.time_to_go(limits) => {}
            () = stop.cancelled() => {}
        }
        peer.told_to_go();
        Pin::as_mut(&mut served).graceful_shutdown();
        tokio::select! {
            _ = &mut served => {}
            () = &mut certificate_ended => {}
            () = peer.left_alone() => {}
        }
    }
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LATE_FRAMES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
