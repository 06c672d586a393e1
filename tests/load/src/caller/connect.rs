//! The connections: TLS with a chatbot's certificate, and HTTP/2 upon it.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rustls::{ClientConfig, pki_types::ServerName};
use tidegate_auth::{PeerRequirement, TlsFiles, TlsIdentity};
use tidegate_local::credentials::{Credentials, Identity};
use tokio::{net::TcpStream, runtime::Handle};
use tokio_rustls::TlsConnector;

use crate::tell;

/// What every gateway proves to be, whatever its address.
pub const HOST: &str = "gateway.tidegate";
/// One connection carries thousands of streams at once; with the default window of 64 KiB their
/// answers would wait for each other.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Calls given up that are remembered, so that an answer on its way to one is expected.
const RESETS_REMEMBERED: usize = 20_000;

/// What a chatbot shows and checks.
pub fn tls(credentials: &Credentials) -> Result<TlsConnector> {
    let files = TlsFiles {
        ca: credentials.ca_file(),
        certificate: credentials.certificate_file(Identity::Chatbot),
        key: credentials.key_file(Identity::Chatbot),
    };
    let identity = TlsIdentity::load(&files, PeerRequirement::Certificate)?;
    let mut client: ClientConfig = (*identity.client()).clone();
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

/// Opens one connection; a task on `threads` does its reading and writing until its last caller is
/// gone.
pub async fn open(
    gateway: SocketAddr,
    tls: &TlsConnector,
    threads: &Handle,
) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(gateway)
        .await
        .context("the gateway takes no connection")?;
    stream.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from(HOST)?, stream).await?;
    let (sender, connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        // Answers to calls that ran out of time are no fault of the gateway.
        .max_local_error_reset_streams(None)
        .handshake(stream)
        .await?;
    threads.spawn(async move {
        if let Err(error) = connection.await {
            tell(&format!(
                "A connection to the gateway broke ({error}): what was under way on it counts as unanswered."
            ));
        }
    });
    Ok(sender)
}
