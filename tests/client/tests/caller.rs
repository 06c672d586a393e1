//! The caller of the crowds, in front of a gateway made up for the test.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{StreamExt as _, future::join_all};
use tidegate_client::{Bearer, CALL_LIMIT, Caller, Sending, claim_of, framed, order_of, soon};
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, LeaveQueueRequest,
    LeaveQueueResponse, WatchClaimRequest, WatchClaimResponse,
    claim_service_client::ClaimServiceClient,
    claim_service_server::{ClaimService, ClaimServiceServer},
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    time::sleep,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt as _};

const CONNECTIONS: usize = 2;
const STREAMS_PER_CONNECTION: usize = 3;
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// More than the frames of one answer hold.
const LONG: usize = 100_000;
const SLOW: Duration = Duration::from_millis(700);

/// Does with a claim what its shopper is called.
struct Claims;

#[tonic::async_trait]
impl ClaimService for Claims {
    type WatchClaimStream = tokio_stream::Empty<Result<WatchClaimResponse, Status>>;

    async fn claim_coupon(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<Response<ClaimCouponResponse>, Status> {
        let header = |name| {
            let value = request.metadata().get(name);
            value.map_or("none", |value| value.to_str().unwrap_or_default())
        };
        let headers = [
            "authorization",
            "grpc-timeout",
            "grpc-previous-rpc-attempts",
            "traceparent",
        ]
        .map(header);
        let mut trace_id = headers.join(", ");
        match &*request.get_ref().shopper_id {
            "refused" => {
                let mut details = ErrorDetails::with_error_info("OVERLOADED", "tidegate", []);
                details.set_retry_info(Some(Duration::from_millis(300)));
                let code = Code::Unavailable;
                let mut status = Status::with_error_details(code, "words, 话", details);
                let pushback = "300".parse().map_err(|_| Status::internal("no number"))?;
                status
                    .metadata_mut()
                    .insert("grpc-retry-pushback-ms", pushback);
                return Err(status);
            }
            "long" => trace_id = "long".repeat(LONG / 4),
            "slow" => sleep(SLOW).await,
            "hanging" => pending().await,
            _ => {}
        }
        Ok(Response::new(ClaimCouponResponse {
            trace_id,
            ..ClaimCouponResponse::default()
        }))
    }

    async fn watch_claim(
        &self,
        _: Request<WatchClaimRequest>,
    ) -> Result<Response<Self::WatchClaimStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }

    async fn get_claim(
        &self,
        _: Request<GetClaimRequest>,
    ) -> Result<Response<GetClaimResponse>, Status> {
        Err(Status::unimplemented("nobody looks"))
    }

    async fn leave_queue(
        &self,
        _: Request<LeaveQueueRequest>,
    ) -> Result<Response<LeaveQueueResponse>, Status> {
        Err(Status::unimplemented("nobody leaves"))
    }
}

/// A gateway whose connections break when it is dropped.
struct Gateway {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Tells its callers to go, and lets what is under way end.
    drain: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
}

impl Gateway {
    async fn start(address: &str) -> Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        let listener = TcpListener::bind(address.to_owned());
        let listener = runtime.spawn(listener).await??;
        let address = listener.local_addr()?;
        let accepted = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&accepted);
        let incoming = TcpListenerStream::new(listener).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (drain, draining) = oneshot::channel();
        let server = Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION as u32)
            .add_service(ClaimServiceServer::new(Claims))
            .serve_with_incoming_shutdown(incoming, async { drop(draining.await) });
        runtime.spawn(server);
        Ok(Self {
            address,
            accepted,
            drain: Some(drain),
            runtime: Some(runtime),
        })
    }

    async fn again(address: SocketAddr) -> Result<Self> {
        soon(async || Self::start(&address.to_string()).await).await
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn caller(gateway: SocketAddr) -> Result<Caller> {
    let (bearer, threads) = (Bearer::of_token("token")?, Handle::current());
    Caller::connect(&[gateway], CONNECTIONS, None, &bearer, &threads, |_| ()).await
}

async fn claim(caller: &Caller, shopper: &str) -> Result<ClaimCouponResponse, Status> {
    let body = framed(&claim_of("campaign", shopper, "request"));
    caller.call(body).await
}

/// Panics if a call did not fail, or not as one that nobody answered.
#[track_caller]
fn unanswered(answer: Result<ClaimCouponResponse, Status>) -> Code {
    let status = answer.expect_err("nobody can answer");
    assert!(status.metadata().is_empty() && status.details().is_empty());
    status.code()
}

#[tokio::test]
async fn a_call_brings_its_headers_along_and_its_answer_is_whole() -> Result<()> {
    let gateway = Gateway::start("127.0.0.1:0").await?;
    let caller = caller(gateway.address).await?;
    assert_eq!(
        claim(&caller, "plain").await?.trace_id,
        "Bearer token, 2S, none, none"
    );
    let body = framed(&claim_of("campaign", "traced", "request"));
    let traced = caller.call_at(
        Sending {
            turn: 7,
            sent_before: 2,
        },
        body,
        Some(TRACEPARENT),
    );
    assert_eq!(
        traced.await?.trace_id,
        format!("Bearer token, 2S, 2, {TRACEPARENT}")
    );
    assert_eq!(claim(&caller, "long").await?.trace_id.len(), LONG);
    Ok(())
}

#[tokio::test]
async fn refusals_are_those_that_the_client_of_tonic_reads() -> Result<()> {
    let gateway = Gateway::start("127.0.0.1:0").await?;
    let caller = caller(gateway.address).await?;
    let client = ClaimServiceClient::connect(format!("http://{}", gateway.address));
    let mut client = client.await?;
    let parts = |status: Status| {
        let mut headers = status.metadata().clone().into_headers();
        headers.remove("date");
        let details = status.details().to_vec();
        (status.code(), status.message().to_owned(), details, headers)
    };
    let ours = claim(&caller, "refused").await.err().map(parts);
    let theirs = client.claim_coupon(claim_of("campaign", "refused", "request"));
    let theirs = theirs.await.err().map(parts);
    assert_eq!(ours, theirs);
    assert!(
        ours.is_some_and(|(_, _, details, headers)| !details.is_empty()
            && headers.contains_key("grpc-retry-pushback-ms"))
    );

    let order = caller.call(framed(&order_of("somebody", "order", "code")));
    assert_eq!(
        order.await.err().map(|status| status.code()),
        Some(Code::Unimplemented)
    );
    Ok(())
}

#[tokio::test]
async fn without_an_answer_or_room_for_it_a_call_fails_when_its_time_is_over() -> Result<()> {
    // Nobody is there to take the connections.
    let deaf = TcpListener::bind("127.0.0.1:0").await?;
    let gateway = Gateway::start("127.0.0.1:0").await?;
    let (nobody, caller) = (
        caller(deaf.local_addr()?).await?,
        caller(gateway.address).await?,
    );
    // With its first answer a gateway says how much room there is.
    join_all([(); CONNECTIONS].map(|()| claim(&caller, "plain"))).await;
    let (began, room) = (Instant::now(), CONNECTIONS * STREAMS_PER_CONNECTION);
    let (unheard, hanging) = tokio::join!(
        join_all((0..300).map(|_| claim(&nobody, "plain"))),
        join_all((0..2 * room).map(|_| claim(&caller, "hanging"))),
    );
    assert!((CALL_LIMIT..2 * CALL_LIMIT).contains(&began.elapsed()));
    for answer in unheard {
        assert_eq!(unanswered(answer), Code::Cancelled);
    }
    for answer in hanging {
        assert_eq!(
            answer.err().map(|status| status.code()),
            Some(Code::Cancelled)
        );
    }
    // What was given up makes room.
    claim(&caller, "plain").await?;
    Ok(())
}

#[tokio::test]
async fn connections_that_broke_are_opened_anew_once_and_calls_meanwhile_fail_at_once() -> Result<()>
{
    let gateway = Gateway::start("127.0.0.1:0").await?;
    let (address, caller) = (gateway.address, caller(gateway.address).await?);
    let began = Instant::now();
    let (hanging, ()) = tokio::join!(claim(&caller, "hanging"), async {
        sleep(SLOW / 2).await;
        drop(gateway);
    });
    assert_eq!(unanswered(hanging), Code::Unavailable);
    for _ in 0..100 {
        assert_eq!(unanswered(claim(&caller, "plain").await), Code::Unavailable);
    }
    assert!(began.elapsed() < CALL_LIMIT);
    let gateway = Gateway::again(address).await?;
    soon(async || claim(&caller, "plain").await).await?;
    sleep(SLOW).await;
    assert_eq!(gateway.accepted(), CONNECTIONS);
    Ok(())
}

#[tokio::test]
async fn a_caller_told_to_go_hears_what_is_under_way_and_calls_elsewhere() -> Result<()> {
    let mut gateway = Gateway::start("127.0.0.1:0").await?;
    let (address, caller) = (gateway.address, caller(gateway.address).await?);
    let (slow, again) = tokio::join!(claim(&caller, "slow"), async {
        sleep(SLOW / 4).await;
        drop(gateway.drain.take());
        let again = Gateway::again(address).await?;
        soon(async || claim(&caller, "plain").await).await?;
        anyhow::Ok(again)
    });
    slow?;
    sleep(SLOW).await;
    assert_eq!(again?.accepted(), CONNECTIONS);
    Ok(())
}
