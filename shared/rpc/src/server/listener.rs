use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tidegate_auth::{Identity, TlsIdentity, certificate_ends};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, Sleep, sleep, sleep_until, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    addresses::{AddressPlace, Addresses},
    metrics::CallMetrics,
    peer::Peer,
};

/// Connections a process holds at once; further ones wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 8_192;
/// TLS handshakes at once. They are the dearest thing that a stranger can ask for, and calls in flight need the processor as well.
const MAX_HANDSHAKES: usize = 1_024;
/// Of them, those of one address; further ones wait for each other.
const MAX_HANDSHAKES_PER_ADDRESS: usize = MAX_HANDSHAKES / 2;
/// A peer that has not finished its TLS handshake and said its first words of HTTP/2 by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Of the first words: the preface of HTTP/2, and the head of the settings that every client sends after it.
const FIRST_WORDS_BYTES: usize = 24 + 9;
/// A flood from one address must not be one of log lines as well.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}; free the port or choose another one")]
pub struct PortUnavailable {
    address: SocketAddr,
    reason: io::Error,
}

/// How many connections one address may have, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections of one address; further ones are closed at once. Callers behind one address translator, or behind a load balancer that hides them, share this.
    pub per_address: usize,
    /// A peer that has had no call in flight for so long is told to go.
    pub idle: Duration,
    /// A peer is told to go after so long, or up to a fifth sooner, and opens another connection for its further calls. Those in flight are not cut.
    pub age: Duration,
}

impl Default for ConnectionLimits {
    /// A connection carries two thousand calls at once, so that a fleet of hundreds of processes behind one address needs no more.
    fn default() -> Self {
        Self {
            per_address: 512,
            idle: Duration::from_secs(300),
            age: Duration::from_secs(1_800),
        }
    }
}

/// A bound port.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    pub(super) limits: ConnectionLimits,
}

impl Listener {
    /// Binds the port.
    pub async fn bind(address: SocketAddr) -> Result<Self, PortUnavailable> {
        let unavailable = |reason| PortUnavailable { address, reason };
        let listener = TcpListener::bind(address).await.map_err(unavailable)?;
        Ok(Self {
            address: listener.local_addr().map_err(unavailable)?,
            socket: listener,
            limits: ConnectionLimits::default(),
        })
    }

    /// The same port with these limits.
    pub fn limited(self, limits: ConnectionLimits) -> Self {
        Self { limits, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop`. Handshakes run beside each other, so that a slow peer holds up nobody.
    pub(super) fn connections(
        self,
        tls: Arc<TlsIdentity>,
        metrics: CallMetrics,
        stop: CancellationToken,
    ) -> mpsc::Receiver<Connection> {
        let (ready, connections) = mpsc::channel(64);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            let addresses = Addresses::new(self.limits.per_address, MAX_HANDSHAKES_PER_ADDRESS);
            let addresses = Arc::new(addresses);
            let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
            let mut next_warning = Instant::now();
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = accept(&self.socket, &places) => accepted,
                };
                match accepted {
                    Ok((stream, peer, place)) => {
                        let Some(of_address) = addresses.connect(peer.ip()) else {
                            metrics.connection_refused("TOO_MANY_OF_ADDRESS");
                            if Instant::now() >= next_warning {
                                next_warning = Instant::now() + WARNING_INTERVAL;
                                tracing::warn!(address = %peer.ip(), limit = self.limits.per_address, "an address has as many connections as one may have; further ones are closed, and tidegate_connections_refused_total counts them: block the address if it is nobody you know; if many callers share it, such as behind a load balancer, raise TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS");
                            }
                            continue;
                        };
                        let newcomer = Newcomer {
                            stream,
                            peer,
                            places: (place, of_address),
                            metrics: metrics.clone(),
                        };
                        let acceptor = TlsAcceptor::from(tls.server());
                        let (ready, handshakes) = (ready.clone(), Arc::clone(&handshakes));
                        tokio::spawn(async move {
                            if let Some(connection) = newcomer.greet(acceptor, &handshakes).await {
                                // The server is gone if nobody takes it.
                                let _ = ready.send(connection).await;
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted; if this goes on, look at the limit of open files");
                        sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                    }
                }
            }
        });
        connections
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// A connection before its handshake.
struct Newcomer {
    stream: TcpStream,
    peer: SocketAddr,
    places: (OwnedSemaphorePermit, AddressPlace),
    metrics: CallMetrics,
}

impl Newcomer {
    async fn greet(self, acceptor: TlsAcceptor, handshakes: &Semaphore) -> Option<Connection> {
        let Self {
            stream,
            peer,
            places,
            metrics,
        } = self;
        let patience = Instant::now() + HANDSHAKE_TIMEOUT;
        let of_address = &places.1.handshakes;
        let handshake = handshake(acceptor, stream, of_address, handshakes);
        match timeout_at(patience, handshake).await {
            Ok(Ok(stream)) => {
                // Of what else is sent with it, only the verifier knows what it needed.
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let identity = chain.first().and_then(Identity::of_certificate);
                let peer = Peer::new(identity, chain.first().map(certificate_ends));
                Some(Connection {
                    stream,
                    peer: Arc::new(peer),
                    first_words: Some(FirstWords {
                        missing: FIRST_WORDS_BYTES,
                        until: Box::pin(sleep_until(patience)),
                    }),
                    _places: places,
                })
            }
            Ok(Err(error)) => {
                metrics.connection_refused("HANDSHAKE_FAILED");
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                metrics.connection_refused("HANDSHAKE_TOO_SLOW");
                tracing::debug!(%peer, "a TLS handshake took too long");
                None
            }
        }
    }
}

/// Takes a place among the handshakes only once the peer has said something: one that stays silent keeps nobody waiting.
async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    of_address: &Semaphore,
    of_all: &Semaphore,
) -> io::Result<TlsStream<TcpStream>> {
    // Not `readable`, which may say so without a byte there.
    stream.peek(&mut [0]).await?;
    let closed = |error: AcquireError| io::Error::other(error);
    let _of_address = of_address.acquire().await.map_err(closed)?;
    let _of_all = of_all.acquire().await.map_err(closed)?;
    acceptor.accept(stream).await
}

/// One connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    pub(super) peer: Arc<Peer>,
    /// None once the peer has said them. From then on HTTP/2 watches it.
    first_words: Option<FirstWords>,
    _places: (OwnedSemaphorePermit, AddressPlace),
}

/// How much of its first words a peer has not said yet, and until when it must.
struct FirstWords {
    missing: usize,
    until: Pin<Box<Sleep>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(FirstWords { missing, until }) = &mut self.first_words {
            *missing = missing.saturating_sub(buf.filled().len() - before);
            if *missing == 0 {
                self.first_words = None;
            } else if read.is_pending() && until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
