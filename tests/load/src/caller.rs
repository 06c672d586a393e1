//! Calls of the gateway that cost little to send: HTTP/2 without the layers of a client that serves
//! every purpose, headers made once, and bodies that are encoded once however often they are sent.

mod connect;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use prost::Message;
use tidegate_client::{Bearer, Refusal};
use tidegate_local::credentials::Credentials;
use tokio::{runtime::Handle, time::timeout};
use tonic::Status;

/// How long a call waits for its answer; sent along as the deadline.
pub const CALL_LIMIT: Duration = Duration::from_secs(2);
const CALL_LIMIT_HEADER: &str = "2S";
/// A gRPC message begins with a byte for its compression and four for its length.
const PREFIX_BYTES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    ClaimCoupon,
    LeaveQueue,
    PlaceOrder,
}

impl Method {
    const ALL: [Self; 3] = [Self::ClaimCoupon, Self::LeaveQueue, Self::PlaceOrder];

    fn path(self) -> &'static str {
        match self {
            Self::ClaimCoupon => "/tidegate.gateway.v1.ClaimService/ClaimCoupon",
            Self::LeaveQueue => "/tidegate.gateway.v1.ClaimService/LeaveQueue",
            Self::PlaceOrder => "/tidegate.gateway.v1.OrderService/PlaceOrder",
        }
    }
}

/// Why a call has no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer names this reason, and when to ask again if that makes sense.
    Refused {
        reason: String,
        retry_after: Option<Duration>,
    },
    Unanswered,
}

impl From<Failure> for String {
    /// The reason, for a table.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { reason, .. } => reason,
            Failure::Unanswered => "UNANSWERED".to_owned(),
        }
    }
}

/// Connections that all shoppers share, spread over the gateways.
pub struct Caller {
    connections: Vec<SendRequest<Bytes>>,
    turn: AtomicUsize,
    headers: HeaderMap,
    uris: [Uri; Method::ALL.len()],
}

impl Caller {
    /// Connects to the gateways, each in its turn. The connections' own work is done by `threads`.
    pub async fn connect(
        gateways: &[SocketAddr],
        connections: usize,
        credentials: &Credentials,
        bearer: &Bearer,
        threads: &Handle,
    ) -> Result<Self> {
        ensure!(!gateways.is_empty(), "There is no gateway to call.");
        let tls = connect::tls(credentials)?;
        let mut open = Vec::new();
        for gateway in gateways.iter().cycle().take(connections) {
            open.push(connect::open(*gateway, &tls, threads).await?);
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_bytes(bearer.header())?,
        );
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert("grpc-timeout", HeaderValue::from_static(CALL_LIMIT_HEADER));
        let uri = |method: Method| {
            Uri::builder()
                .scheme("https")
                .authority(connect::HOST)
                .path_and_query(method.path())
                .build()
                .unwrap_or_default()
        };
        Ok(Self {
            connections: open,
            turn: AtomicUsize::new(0),
            headers,
            uris: Method::ALL.map(uri),
        })
    }

    /// Sends one call and reads its answer. `body` is what [`framed`] made.
    pub async fn call<Answer: Message + Default>(
        &self,
        method: Method,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        match timeout(CALL_LIMIT, self.exchange(method, body)).await {
            Ok(Ok(reply)) => reply,
            // A broken connection and a late answer are the same to a shopper.
            Ok(Err(_)) | Err(_) => Err(Failure::Unanswered),
        }
    }

    async fn exchange<Answer: Message + Default>(
        &self,
        method: Method,
        body: Bytes,
    ) -> Result<Result<Answer, Failure>, h2::Error> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let connection = self.connections[turn % self.connections.len()].clone();
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uris[method as usize].clone();
        *request.headers_mut() = self.headers.clone();
        let (response, mut stream) = connection.ready().await?.send_request(request, false)?;
        stream.send_data(body, true)?;
        let (head, answer) = response.await?.into_parts();
        // A refusal without a message says so in its head.
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Ok(Err(failure(&status)));
        }
        read(answer).await
    }
}

async fn read<Answer: Message + Default>(
    mut answer: RecvStream,
) -> Result<Result<Answer, Failure>, h2::Error> {
    let mut message = BytesMut::new();
    while let Some(piece) = answer.data().await {
        let piece = piece?;
        answer.flow_control().release_capacity(piece.len())?;
        message.extend_from_slice(&piece);
    }
    let trailers = answer.trailers().await?.unwrap_or_default();
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() == tonic::Code::Ok => Ok(unframed(message.freeze())),
        Some(status) => Ok(Err(failure(&status))),
        None => Ok(Err(Failure::Unanswered)),
    }
}

/// A message as the wire has it.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows, so nothing can fail.
    let _ = message.encode(&mut body);
    body.freeze()
}

fn unframed<Answer: Message + Default>(mut body: Bytes) -> Result<Answer, Failure> {
    if body.len() < PREFIX_BYTES {
        return Err(Failure::Unanswered);
    }
    body.advance(PREFIX_BYTES);
    Answer::decode(body).map_err(|_| Failure::Unanswered)
}

fn failure(status: &Status) -> Failure {
    Refusal::read(status).map_or(Failure::Unanswered, |refusal| Failure::Refused {
        reason: refusal.reason,
        retry_after: refusal.retry_after,
    })
}

#[cfg(test)]
mod tests {
    use tidegate_proto::gateway::v1::{LeaveQueueRequest, LeaveQueueResponse};

    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_framed() {
        let message = LeaveQueueRequest {
            shopper_id: "somebody".to_owned(),
            ..LeaveQueueRequest::default()
        };
        assert_eq!(unframed(framed(&message)), Ok(message));
        let cut = unframed::<LeaveQueueResponse>(Bytes::from_static(&[0, 0, 0]));
        assert_eq!(cut, Err(Failure::Unanswered));
    }
}
