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

use anyhow::{Context, Result};
use tidegate_auth::{PeerRequirement, TlsFiles, TlsIdentity};
use tidegate_local::credentials::{Credentials, Identity};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, IssuedClaim,
        LeaveQueueRequest, LeaveQueueResponse, WatchClaimRequest, WatchClaimResponse,
        claim_coupon_response::Outcome,
        claim_service_server::{ClaimService, ClaimServiceServer},
    },
    r#type::v1::{Coupon, CouponState, Money},
};
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::{
    closed_loop::{CAMPAIGN_ID, REQUEST_ID},
    connection::Connection,
};

// The settings of the services' own servers: with others the two would not be comparable.
const MAX_STREAMS_PER_CONNECTION: u32 = 2_000;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_PENDING_RESETS: usize = MAX_STREAMS_PER_CONNECTION as usize;

const HANDSHAKES_WAITING: usize = 64;
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
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(ClaimServiceServer::new(Echo::new()))
        .serve_with_incoming_shutdown(connections(listener, tls), input_ends())
        .await
        .context("the echo stopped serving")
}

fn connections(listener: TcpListener, tls: TlsIdentity) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(HANDSHAKES_WAITING);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A handshake that fails is seen by the client, which reports it.
            if let Ok(connection) = handshake(&tls, stream).await
                && ready.send(Ok(connection)).await.is_err()
            {
                return;
            }
        }
    });
    ReceiverStream::new(connections)
}

async fn handshake(tls: &TlsIdentity, stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(tls.server()).accept(stream).await?;
    Ok(Connection(stream))
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

/// Answers with a coupon of the size that issuance's have.
struct Echo {
    answer: ClaimCouponResponse,
}

impl Echo {
    fn new() -> Self {
        let now = SystemTime::now();
        let trace_id = "0af7651916cd43dd8448eb211c80319c";
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
            order_id: String::new(),
            request_id: REQUEST_ID.to_owned(),
            claim_trace_id: trace_id.to_owned(),
            ..Coupon::default()
        };
        let issued = IssuedClaim {
            coupon: Some(coupon),
            replayed: false,
        };
        Self {
            answer: ClaimCouponResponse {
                outcome: Some(Outcome::Issued(issued)),
                trace_id: trace_id.to_owned(),
            },
        }
    }
}

#[tonic::async_trait]
impl ClaimService for Echo {
    async fn claim_coupon(
        &self,
        _request: Request<ClaimCouponRequest>,
    ) -> Result<Response<ClaimCouponResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }

    async fn get_claim(
        &self,
        _request: Request<GetClaimRequest>,
    ) -> Result<Response<GetClaimResponse>, Status> {
        Err(nothing_else())
    }

    type WatchClaimStream = tokio_stream::Empty<Result<WatchClaimResponse, Status>>;

    async fn watch_claim(
        &self,
        _request: Request<WatchClaimRequest>,
    ) -> Result<Response<Self::WatchClaimStream>, Status> {
        Err(nothing_else())
    }

    async fn leave_queue(
        &self,
        _request: Request<LeaveQueueRequest>,
    ) -> Result<Response<LeaveQueueResponse>, Status> {
        Err(nothing_else())
    }
}

fn nothing_else() -> Status {
    Status::unimplemented("the echo answers ClaimCoupon and nothing else")
}
