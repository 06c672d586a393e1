//! Calls of the gateway that cost little to send: HTTP/2 without the layers of a client that serves
//! every purpose, headers made once, and bodies that are encoded once however often they are sent.

mod call_stream;
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

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use prost::Message;
use tidegate_local::credentials::{Credentials, Identity};
use tidegate_proto::gateway::v1::{
    CancelOrderRequest, CancelOrderResponse, CheckCouponRequest, CheckCouponResponse,
    ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, GetOrderRequest,
    GetOrderResponse, LeaveQueueRequest, LeaveQueueResponse, PlaceOrderRequest, PlaceOrderResponse,
    StreamCallsRequest,
};
use tidegate_rpc::{
    PREVIOUS_ATTEMPTS_HEADER,
    frame::{self, PREFIX_BYTES, unframed},
};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::Status;

use crate::Bearer;
use call_stream::CallStream;
use connection::{Connection, HOST, Open, Way};

/// How long a call waits for its answer; sent along as the deadline.
pub const CALL_LIMIT: Duration = Duration::from_secs(2);
const CALL_LIMIT_HEADER: &str = "2S";
const STREAM_PATH: &str = "/tidegate.gateway.v1.CallService/StreamCalls";
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
    Framed(frame::framed(&message.encode_to_vec()), PhantomData)
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
    stream_uri: Uri,
    is_over_streams: bool,
    threads: Handle,
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
            stream_uri: format!("https://{HOST}{STREAM_PATH}").parse()?,
            is_over_streams: false,
            threads: threads.clone(),
        })
    }

    /// The same, with one stream for each connection that carries all its calls.
    pub fn over_streams(self) -> Self {
        Self {
            is_over_streams: true,
            ..self
        }
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
        let exchange = async {
            let method = Asked::METHOD as usize;
            let answer = if self.is_over_streams {
                let asked = StreamCallsRequest {
                    method: PATHS[method].trim_start_matches('/').to_owned(),
                    request: body.0.slice(PREFIX_BYTES..),
                    traceparent: traceparent.unwrap_or_default().to_owned(),
                    previous_attempts: sent_before,
                    ..StreamCallsRequest::default()
                };
                self.stream(turn).await?.call(asked).await?
            } else {
                let mut request = self.request(&self.uris[method], traceparent);
                if sent_before > 0 {
                    let times = sent_before.into();
                    request
                        .headers_mut()
                        .insert(PREVIOUS_ATTEMPTS_HEADER, times);
                }
                self.exchange(turn, request, body.0).await?
            };
            Asked::Answer::decode(answer).map_err(|error| Status::internal(error.to_string()))
        };
        timeout(CALL_LIMIT, exchange)
            .await
            .unwrap_or_else(|_| Err(Status::cancelled("the time of the call is over")))
    }

    fn request(&self, uri: &Uri, traceparent: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(value) = traceparent.and_then(|value| value.parse().ok()) {
            request.headers_mut().insert("traceparent", value);
        }
        request
    }

    /// The connection whose turn it is, or the next that is open.
    fn open_at(&self, turn: usize) -> Result<Open, Status> {
        let mut turns = (turn..turn + self.turns()).map(|turn| turn % self.turns());
        let open = turns.find_map(|turn| self.connections[turn].open());
        open.ok_or_else(|| Status::unavailable("no connection is open"))
    }

    /// The stream of that connection, opened if need be.
    async fn stream(&self, turn: usize) -> Result<Arc<CallStream>, Status> {
        let Open { sender, calls } = self.open_at(turn)?;
        let mut stream = calls.lock().await;
        if let Some(open) = stream.as_ref().filter(|stream| stream.is_open()) {
            return Ok(Arc::clone(open));
        }
        let mut sender = sender.ready().await.map_err(failed)?;
        let request = self.request(&self.stream_uri, None);
        let (answers, calls) = sender.send_request(request, false).map_err(failed)?;
        let opened = Arc::new(CallStream::new(answers, calls, &self.threads));
        *stream = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// The serialized answer.
    async fn exchange(
        &self,
        turn: usize,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Bytes, Status> {
        let sender = self.open_at(turn)?.sender;
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
            let message = unframed(message);
            return message.ok_or_else(|| Status::internal("the answer is not one message"));
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
