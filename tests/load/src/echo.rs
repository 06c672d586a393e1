//! The ceiling: a process that answers every claim with one fixed coupon. The same TLS, HTTP/2 and
//! messages as the gateway, and nothing else: no token is checked, nothing is traced, no database
//! is asked.

use std::{
    io,
    net::Ipv4Addr,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use tidegate_auth::{PeerRequirement, TlsFiles, TlsIdentity};
use tidegate_local::credentials::{Credentials, Identity};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, ClaimCouponResponse, IssuedClaim, StreamCallsRequest,
        StreamCallsResponse,
        call_service_server::{CallService, CallServiceServer},
        claim_coupon_response::Outcome,
    },
    r#type::v1::{Coupon, CouponState, Money},
};
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Response, Status, Streaming, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tower::ServiceExt as _;

use crate::closed_loop::{CAMPAIGN_ID, REQUEST_ID};

// The settings of the services' own servers: with others the two would not be comparable.
const MAX_STREAMS_PER_CONNECTION: u32 = 2_000;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_PENDING_RESETS: usize = 5 * MAX_STREAMS_PER_CONNECTION as usize;
const MAX_LATE_FRAMES: usize = 1_000_000;

const STREAM_CALLS: &str = "/tidegate.gateway.v1.CallService/StreamCalls";
const COUPON_VALIDITY: Duration = Duration::from_secs(17 * 24 * 3_600);

/// Prints the address it listens on, then answers until standard input ends, which it does when the
/// harness goes, however it goes.
pub async fn serve(credentials: &Path) -> Result<()> {
    let credentials = Credentials::load_or_make(credentials, OffsetDateTime::now_utc())?;
    let files = TlsFiles {
        ca: credentials.ca_file(),
        certificate: credentials.certificate_file(Identity::Gateway),
        key: credentials.key_file(Identity::Gateway),
    };
    let tls = TlsIdentity::load(&files, PeerRequirement::CertificateOptional)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let accepting = async {
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that fails is seen by the client, which reports it.
            tokio::spawn(answer_all(stream, TlsAcceptor::from(tls.server())));
        }
    };
    tokio::select! {
        accepted = accepting => accepted,
        () = input_ends() => Ok(()),
    }
}

/// Answers every call of a connection, whatever its method.
async fn answer_all(stream: TcpStream, tls: TlsAcceptor) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(tls.accept(stream).await?);
    let answer = answer();
    let streams = CallServiceServer::new(EchoCalls(answer.encode_to_vec().into()));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (answer, streams) = (answer.clone(), streams.clone());
        async move {
            if request.uri().path() == STREAM_CALLS {
                return Ok(streams
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}));
            }
            let echo = tower::service_fn(move |_: tonic::Request<ClaimCouponRequest>| {
                let answer = answer.clone();
                async move { Ok::<_, Status>(Response::new(answer)) }
            });
            let mut grpc = Grpc::new(ProstCodec::<ClaimCouponResponse, _>::default());
            Ok::<_, Status>(grpc.unary(echo, request.map(Body::new)).await)
        }
    });
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LATE_FRAMES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .serve_connection(stream, service);
    Ok(serving.await?)
}

/// Answers every call of a stream with the same.
struct EchoCalls(Bytes);

#[tonic::async_trait]
impl CallService for EchoCalls {
    type StreamCallsStream = BoxStream<'static, Result<StreamCallsResponse, Status>>;

    async fn stream_calls(
        &self,
        request: tonic::Request<Streaming<StreamCallsRequest>>,
    ) -> Result<Response<Self::StreamCallsStream>, Status> {
        let response = self.0.clone();
        let answers = request
            .into_inner()
            .map_ok(move |asked| StreamCallsResponse {
                call_id: asked.call_id,
                response: response.clone(),
                ..StreamCallsResponse::default()
            });
        Ok(Response::new(answers.boxed()))
    }
}

async fn input_ends() {
    let (ended, end) = oneshot::channel::<()>();
    // A thread of its own: reading standard input blocks.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        drop(ended);
    });
    // Its sender being dropped is the message.
    let _ = end.await;
}

/// A coupon of the size that issuance's have.
fn answer() -> ClaimCouponResponse {
    let now = SystemTime::now();
    let trace_id = "0af7651916cd43dd8448eb211c80319c".to_owned();
    let coupon = Coupon {
        code: "0000000000000000".to_owned(),
        campaign_id: CAMPAIGN_ID.to_owned(),
        tier_id: "milk-tea-25".to_owned(),
        face_value: Some(Money {
            currency_code: "CNY".to_owned(),
            minor_units: 2_500,
        }),
        state: CouponState::Issued.into(),
        issued_at: Some(now.into()),
        valid_until: Some((now + COUPON_VALIDITY).into()),
        request_id: REQUEST_ID.to_owned(),
        claim_trace_id: trace_id.clone(),
        ..Coupon::default()
    };
    let issued = IssuedClaim {
        coupon: Some(coupon),
        replayed: false,
    };
    ClaimCouponResponse {
        outcome: Some(Outcome::Issued(issued)),
        trace_id,
    }
}
