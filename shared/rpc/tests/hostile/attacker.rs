//! A peer that speaks HTTP/2 by hand, so that it can break every rule of it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustls::pki_types::ServerName;
use tidegate_auth::Identity;
use tidegate_test_kit::PATIENCE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::suite::{Suite, UNARY};

/// The preface and settings that change nothing.
pub const FIRST_WORDS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const PING: u8 = 6;
/// The frame with which a peer is told to go.
const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Where attackers come from, unless they hide among the callers.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// Far less than any time after which a connection counts as idle.
const BETWEEN_CALLS: Duration = Duration::from_millis(50);

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
        attacker.0.write_all(FIRST_WORDS).await?;
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

    /// Asks again and again, and answers pings until it is told to go, so that neither idleness nor silence is what ends the connection. What the server said until then.
    pub async fn ask_until_the_end(mut self) -> Vec<u8> {
        let (headers, mut said, mut pings) = (call_headers(UNARY), Vec::new(), 0);
        let asking = async {
            for stream in (1..).step_by(2) {
                self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers)
                    .await?;
                let read = timeout(BETWEEN_CALLS, self.0.read_buf(&mut said)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    break;
                }
                for (_, payload) in frames(&said).filter(|(kind, _)| *kind == PING).skip(pings) {
                    if !is_told_to_go(&said) {
                        self.frame(PING, ACK, 0, payload).await?;
                        pings += 1;
                    }
                }
                sleep(BETWEEN_CALLS).await;
            }
            Ok::<_, io::Error>(())
        };
        // A broken connection has ended as well.
        let _ = timeout(PATIENCE, asking).await.unwrap();
        said
    }
}

/// The kind and the payload of each whole frame that a server said.
fn frames(mut said: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = said.split_first_chunk::<9>()?;
        let [a, b, c, kind, ..] = *head;
        let (payload, rest) = rest.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)?;
        said = rest;
        Some((kind, payload))
    })
}

/// Looks for the frame among those that a server said.
pub fn is_told_to_go(said: &[u8]) -> bool {
    frames(said).any(|(kind, _)| kind == GOAWAY)
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
