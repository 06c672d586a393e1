//! Calls of the gateway that cost little to send: HTTP/2 without the layers of a client that serves
//! every purpose, headers made once, and bodies that are encoded once however often they are sent.

mod connection;

use std::{
    marker::PhantomData,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use prost::Message;
use tidegate_local::credentials::{Credentials, Identity};
use tidegate_proto::gateway::v1::{
    CancelOrderRequest, CancelOrderResponse, CheckCouponRequest, CheckCouponResponse,
    ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, GetOrderRequest,
    GetOrderResponse, LeaveQueueRequest, LeaveQueueResponse, PlaceOrderRequest, PlaceOrderResponse,
};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::Status;

use crate::Bearer;
use connection::{Connection, HOST, Way};

/// How long a call waits for its answer; sent along as the deadline.
pub const CALL_LIMIT: Duration = Duration::from_secs(2);
const CALL_LIMIT_HEADER: &str = "2S";
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
/// A gRPC message begins with a byte for its compression and four for its length.
const PREFIX_BYTES: usize = 5;
const STATUS: &str = "grpc-status";

/// A message that asks for one answer, by a method of the gateway.
pub trait Asks: Message {
    type Answer: Message + Default;
    const METHOD: Method;
}

macro_rules! methods {
    ($($service:ident.$method:ident($asked:ident) -> $answer:ident;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Method {
            $($method),+
        }

        /// In the order of the methods.
        const PATHS: &[&str] = &[$(concat!(
            "/tidegate.gateway.v1.", stringify!($service), "/", stringify!($method)
        )),+];

        $(impl Asks for $asked {
            type Answer = $answer;
            const METHOD: Method = Method::$method;
        })+
    };
}

methods! {
    ClaimService.ClaimCoupon(ClaimCouponRequest) -> ClaimCouponResponse;
    ClaimService.LeaveQueue(LeaveQueueRequest) -> LeaveQueueResponse;
    ClaimService.GetClaim(GetClaimRequest) -> GetClaimResponse;
    OrderService.PlaceOrder(PlaceOrderRequest) -> PlaceOrderResponse;
    OrderService.GetOrder(GetOrderRequest) -> GetOrderResponse;
    OrderService.CancelOrder(CancelOrderRequest) -> CancelOrderResponse;
    WalletService.CheckCoupon(CheckCouponRequest) -> CheckCouponResponse;
}

/// One sending of a call.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// Of the connection.
    pub turn: usize,
    pub sent_before: u32,
}

#[derive(Debug, Clone)]
pub struct Framed<Asked>(Bytes, PhantomData<Asked>);

pub fn framed<Asked: Message>(message: &Asked) -> Framed<Asked> {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows, so nothing can fail.
    let _ = message.encode(&mut body);
    Framed(body.freeze(), PhantomData)
}

/// Connections that all shoppers share, spread over the gateways.
#[derive(Debug)]
pub struct Caller {
    connections: Vec<Connection>,
    /// What opens connections anew; ends with this.
    _keepers: JoinSet<()>,
    turn: AtomicUsize,
    headers: HeaderMap,
    uris: Vec<Uri>,
}

impl Caller {
    /// Connects to the gateways, each in its turn: as a chatbot with these credentials, without TLS
    /// if there are none. The connections' own work is done by `threads`, and `say` tells when one
    /// breaks.
    pub async fn connect(
        gateways: &[SocketAddr],
        connections: usize,
        credentials: Option<&Credentials>,
        bearer: &Bearer,
        threads: &Handle,
        say: fn(&str),
    ) -> Result<Self> {
        ensure!(
            !gateways.is_empty() && connections > 0,
            "There is no gateway to call."
        );
        let config = |own: &Credentials| own.client_config(Some(Identity::Chatbot));
        let config = credentials.map(config).transpose()?;
        let tls = config.map(|config| TlsConnector::from(Arc::new(config)));
        let (mut open, mut keepers) = (Vec::new(), JoinSet::new());
        for gateway in gateways.iter().cycle().take(connections) {
            let way = Way::new(*gateway, tls.clone(), say);
            let (connection, keeper) = way.connect().await?;
            keepers.spawn_on(keeper, threads);
            open.push(connection);
        }
        let authorization = HeaderValue::from_bytes(bearer.header())?;
        let uris = PATHS
            .iter()
            .map(|path| format!("https://{HOST}{path}").parse());
        let fixed = |value| HeaderValue::from_static(value);
        Ok(Self {
            connections: open,
            _keepers: keepers,
            turn: AtomicUsize::new(0),
            headers: HeaderMap::from_iter([
                (header::AUTHORIZATION, authorization),
                (header::CONTENT_TYPE, fixed("application/grpc")),
                (header::TE, fixed("trailers")),
                ("grpc-timeout".parse()?, fixed(CALL_LIMIT_HEADER)),
            ]),
            uris: uris.collect::<Result<_, _>>()?,
        })
    }

    pub fn turns(&self) -> usize {
        self.connections.len()
    }

    pub fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.turns()
    }

    pub async fn call<Asked: Asks>(&self, body: Framed<Asked>) -> Result<Asked::Answer, Status> {
        self.call_again(body, 0).await
    }

    /// The same call once more, as its answer said.
    pub async fn call_again<Asked: Asks>(
        &self,
        body: Framed<Asked>,
        sent_before: u32,
    ) -> Result<Asked::Answer, Status> {
        let turn = self.next_turn();
        let sending = Sending { turn, sent_before };
        self.call_at(sending, body, None).await
    }

    /// Sends one call on the connection whose turn it is, or the next that is open. Fails as the
    /// clients of tonic do, and never later than [`CALL_LIMIT`].
    pub async fn call_at<Asked: Asks>(
        &self,
        Sending { turn, sent_before }: Sending,
        body: Framed<Asked>,
        traceparent: Option<&str>,
    ) -> Result<Asked::Answer, Status> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uris[Asked::METHOD as usize].clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(value) = traceparent.and_then(|value| value.parse().ok()) {
            request.headers_mut().insert("traceparent", value);
        }
        if sent_before > 0 {
            request
                .headers_mut()
                .insert(PREVIOUS_ATTEMPTS, sent_before.into());
        }
        timeout(CALL_LIMIT, self.exchange(turn, request, body.0))
            .await
            .unwrap_or_else(|_| Err(Status::cancelled("the time of the call is over")))
    }

    async fn exchange<Answer: Message + Default>(
        &self,
        turn: usize,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Answer, Status> {
        let mut turns = (turn..turn + self.turns()).map(|turn| turn % self.turns());
        let sender = turns.find_map(|turn| self.connections[turn].sender());
        let sender = sender.ok_or_else(|| Status::unavailable("no connection is open"))?;
        let sender = sender.ready().await.map_err(failed);
        let (response, mut stream) = sender?.send_request(request, false).map_err(failed)?;
        stream.send_data(body, true).map_err(failed)?;
        let (head, mut answer) = response.await.map_err(failed)?.into_parts();
        let (mut headers, mut message) = (head.headers, Bytes::new());
        // A refusal without a message says so in its head.
        if !headers.contains_key(STATUS) {
            while let Some(piece) = answer.data().await {
                let piece = piece.map_err(failed)?;
                let room = answer.flow_control().release_capacity(piece.len());
                room.map_err(failed)?;
                message = if message.is_empty() {
                    piece
                } else {
                    [message, piece].concat().into()
                };
            }
            let trailers = answer.trailers().await.map_err(failed)?;
            headers.extend(trailers.unwrap_or_default());
        }
        if headers.get(STATUS).is_some_and(|code| code == "0") {
            return unframed(message).map_err(|error| Status::internal(format!("{error:#}")));
        }
        let status = Status::from_header_map(&headers);
        Err(status.unwrap_or_else(|| Status::unknown("the answer ends without a status")))
    }
}

/// What a gateway says of one call counts as it does for tonic; else the connection is gone.
fn failed(error: h2::Error) -> Status {
    if error.is_reset() {
        Status::from_error(Box::new(error))
    } else {
        Status::unavailable(format!("the connection ended: {error}"))
    }
}

fn unframed<Answer: Message + Default>(mut body: Bytes) -> Result<Answer> {
    let length = body.len().checked_sub(PREFIX_BYTES);
    let length = length.context("the answer holds no message")?;
    let is_compressed = body.get_u8() != 0;
    let is_whole = body.get_u32() as usize == length;
    ensure!(is_whole && !is_compressed, "the answer is not one message");
    Ok(Answer::decode(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_framed_and_whatever_else_is_none() {
        let message = LeaveQueueRequest {
            shopper_id: "somebody".to_owned(),
            ..LeaveQueueRequest::default()
        };
        let Framed(framed, _) = framed(&message);
        assert_eq!(unframed(framed.clone()).ok(), Some(message));
        for cut in [0, 3, framed.len() - 1] {
            assert!(unframed::<LeaveQueueRequest>(framed.slice(..cut)).is_err());
        }
    }
}
