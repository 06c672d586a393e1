//! The connections: TLS with a chatbot's certificate, and HTTP/2 upon it.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rustls::pki_types::ServerName;
use tidegate_rpc::coalesced::{Coalesced, WRITE_INTERVAL};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::call_stream::CallStream;

/// What every gateway proves to be, whatever its address.
pub const HOST: &str = "gateway.tidegate";
/// One connection carries thousands of streams at once; with the default window of 64 KiB their
/// answers would wait for each other.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Calls given up that are remembered, so that an answer on its way to one is expected.
const RESETS_REMEMBERED: usize = 20_000;
const OPENING_LIMIT: Duration = Duration::from_secs(5);
/// Before each attempt to open a connection anew, with chance: all may have broken at one moment.
const REST: Duration = Duration::from_millis(100);

/// A connection to one gateway, which may be between two that are open.
#[derive(Debug, Clone, Default)]
pub struct Connection(Arc<Mutex<Option<Open>>>);

/// A connection that is open.
#[derive(Debug, Clone)]
pub struct Open {
    pub sender: SendRequest<Bytes>,
    /// What carries calls on it, once there is one.
    pub calls: Arc<tokio::sync::Mutex<Option<Arc<CallStream>>>>,
}

impl Connection {
    pub fn open(&self) -> Option<Open> {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, sender: SendRequest<Bytes>) {
        let calls = Arc::default();
        *self.state() = Some(Open { sender, calls });
    }
}

/// The reading and writing of a connection, until it has ended.
type Work = Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;

pub struct Way {
    gateway: SocketAddr,
    tls: Option<TlsConnector>,
    say: fn(&str),
}

impl Way {
    pub fn new(gateway: SocketAddr, tls: Option<TlsConnector>, say: fn(&str)) -> Self {
        Self { gateway, tls, say }
    }

    /// Opens a connection; the future keeps it open.
    pub async fn connect(self) -> Result<(Connection, impl Future<Output = ()> + Send)> {
        let (sender, work) = self.open().await?;
        let connection = Connection::default();
        connection.opened(sender.clone());
        Ok((connection.clone(), self.keep(connection, sender, work)))
    }

    /// Works for the connection, and opens it anew when it broke or was told to go.
    async fn keep(self, connection: Connection, mut sender: SendRequest<Bytes>, mut work: Work) {
        loop {
            let end = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(end) => Poll::Ready(Some(end)),
                Poll::Pending => match sender.poll_ready(context) {
                    // It takes no more calls, and has to answer those that it took.
                    Poll::Ready(Err(_)) => Poll::Ready(None),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                },
            });
            let end = end.await;
            *connection.state() = None;
            match end {
                Some(Ok(())) => {}
                Some(Err(error)) => (self.say)(&format!(
                    "A connection to the gateway broke ({error}): what was under way on it counts as unanswered."
                )),
                None => drop(tokio::spawn(work)),
            }
            (sender, work) = loop {
                sleep(REST.mul_f64(rand::random_range(0.5..1.5))).await;
                if let Ok(opened) = self.open().await {
                    break opened;
                }
            };
            connection.opened(sender.clone());
        }
    }

    async fn open(&self) -> Result<(SendRequest<Bytes>, Work)> {
        let opening = async {
            let stream = TcpStream::connect(self.gateway).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                Some(tls) => {
                    let host = ServerName::try_from(HOST)?;
                    speak(tls.connect(host, stream).await?).await
                }
                None => speak(stream).await,
            }
        };
        let opened = timeout(OPENING_LIMIT, opening).await;
        opened?.context("the gateway takes no connection")
    }
}

async fn speak<Stream>(stream: Stream) -> Result<(SendRequest<Bytes>, Work)>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        // Answers to calls that ran out of time are no fault of the gateway.
        .max_local_error_reset_streams(None)
        .handshake(Coalesced::new(stream, WRITE_INTERVAL))
        .await?;
    Ok((sender, Box::pin(connection)))
}
