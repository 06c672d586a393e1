//! A peer that speaks HTTP/2 by hand, so that it can break every rule of it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustls::pki_types::ServerName;
use tidegate_auth::Identity;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::suite::{PATIENCE, Suite};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub const CONTINUATION: u8 = 9;
pub const END_HEADERS: u8 = 4;

/// Where attackers come from, unless they hide among the callers.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// A connection that has said nothing.
pub async fn connect(suite: &Suite, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(suite.address).await
}

/// Waits until the server has closed the connection; what it still said.
pub async fn wait_for_the_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut said = Vec::new();
    // A broken connection is closed as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .unwrap();
    said
}

/// A connection after its TLS handshake and its first words.
pub struct Attacker(pub TlsStream<TcpStream>);

impl Attacker {
    pub async fn enter(suite: &Suite, from: Ipv4Addr) -> io::Result<Self> {
        let mut attacker = Self::shake_hands(suite, from).await?;
        attacker.0.write_all(PREFACE).await?;
        attacker.frame(SETTINGS, 0, 0, &[]).await?;
        Ok(attacker)
    }

    /// The same without any word of HTTP/2.
    pub async fn shake_hands(suite: &Suite, from: Ipv4Addr) -> io::Result<Self> {
        let stream = connect(suite, from).await?;
        let name = ServerName::try_from(Identity::Issuance.server_name()).unwrap();
        let tls = TlsConnector::from(suite.tls(Identity::Chatbot).client());
        let stream = timeout(Duration::from_secs(60), tls.connect(name, stream));
        Ok(Self(stream.await??))
    }

    pub async fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await?;
        self.0.flush().await
    }
}

/// The headers of a gRPC call, without compression.
pub fn call_headers(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "attacker"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        header(&mut block, name, value);
    }
    block
}

/// One header that the other side is told not to remember.
pub fn header(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0x10);
    for text in [name, value] {
        // Lengths above 126 take more bytes; no attack here needs them.
        block.push(u8::try_from(text.len()).unwrap());
        block.extend(text.as_bytes());
    }
}
