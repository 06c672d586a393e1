use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tidegate_auth::{Identity, TlsIdentity};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// Connections a process holds at once; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 8_192;
/// A peer that has not finished its TLS handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}; free the port or choose another one")]
pub struct PortUnavailable {
    address: SocketAddr,
    reason: io::Error,
}

/// A bound port.
pub struct Listener(TcpListener, SocketAddr);

impl Listener {
    /// Binds the port.
    pub async fn bind(address: SocketAddr) -> Result<Self, PortUnavailable> {
        let unavailable = |reason| PortUnavailable { address, reason };
        let listener = TcpListener::bind(address).await.map_err(unavailable)?;
        let bound = listener.local_addr().map_err(unavailable)?;
        Ok(Self(listener, bound))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.1
    }

    /// Accepts until `stop`. Handshakes run beside each other, so that a slow peer holds up nobody.
    pub(super) fn connections(
        self,
        tls: Arc<TlsIdentity>,
        stop: CancellationToken,
    ) -> ReceiverStream<io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(64);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = accept(&self.0, &places) => accepted,
                };
                match accepted {
                    Ok((stream, place)) => {
                        let acceptor = TlsAcceptor::from(tls.server());
                        let ready = ready.clone();
                        tokio::spawn(async move {
                            if let Some(connection) = handshake(acceptor, stream, place).await {
                                // The server is gone if nobody takes it.
                                let _ = ready.send(Ok(connection)).await;
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
        ReceiverStream::new(connections)
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    let address = stream.peer_addr().ok()?;
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::first);
            let identity = certificate.and_then(Identity::of_certificate);
            Some(Connection {
                stream,
                peer: Peer { identity },
                _place: place,
            })
        }
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "a TLS handshake took too long");
            None
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Whom the certificate names; `None` without one, or with one that names nobody of the suite.
    pub(super) identity: Option<Identity>,
}

/// One connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
