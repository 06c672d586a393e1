//! Shoppers of the replay in front of a gateway made up for the test: they follow their places, and the audit sees whether it is fair.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tidegate_client::{Bearer, Caller};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, IssuedClaim,
        LeaveQueueRequest, LeaveQueueResponse, QueuedClaim, WaitsFor, WatchClaimRequest,
        WatchClaimResponse, claim_coupon_response,
        claim_service_server::{ClaimService, ClaimServiceServer},
        watch_claim_response,
    },
    r#type::v1::{Coupon, LocalizedText},
};
use tidegate_replay::{
    audit::{Finding, queue},
    collector::Collector,
    crowd::{
        curve::Curve,
        schedule::{Crowd, Schedule},
    },
    door::Door,
    ledger::Ledger,
    measures::{Measures, Picture},
    shoppers::{self, Scene},
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, transport::Endpoint, transport::Server};

const SHOPPERS: u32 = 240;
const DAY: Duration = Duration::from_secs(4);
/// A third of what comes.
const PACE_PER_SECOND: f64 = 20.0;
const POLL_AFTER: Duration = Duration::from_millis(250);

/// What is wrong with the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Every fourth who comes is served at once.
    ServesNewcomersFirst,
    /// Positions begin to grow after a while.
    PositionsGrow,
    /// Nothing is said in Chinese.
    SpeaksOneLanguage,
}

/// Hands out numbers and serves them in their order.
#[derive(Debug, Clone)]
struct Gateway {
    fault: Fault,
    began: Instant,
    joined: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
}

impl Gateway {
    fn outcome(&self, ticket: &str) -> claim_coupon_response::Outcome {
        let is_new = ticket.is_empty();
        let number = ticket
            .parse()
            .unwrap_or_else(|_| self.joined.fetch_add(1, Ordering::Relaxed));
        let elapsed = self.began.elapsed();
        let due = (elapsed.as_secs_f64() * PACE_PER_SECOND) as u64;
        let jumps = self.fault == Fault::ServesNewcomersFirst && is_new && number % 4 == 0;
        if jumps || number < due {
            return claim_coupon_response::Outcome::Issued(IssuedClaim {
                coupon: Some(Coupon {
                    code: format!("{number:016}"),
                    ..Coupon::default()
                }),
                replayed: false,
            });
        }
        let grows = self.fault == Fault::PositionsGrow && elapsed > DAY / 2;
        let position = if grows { number + due } else { number - due } + 1;
        let longest = Duration::from_secs_f64(1.5 * position as f64 / PACE_PER_SECOND + 1.0);
        let languages = match self.fault {
            Fault::SpeaksOneLanguage => &["en"][..],
            _ => &["zh-CN", "en"],
        };
        let words = |locale: &&str| LocalizedText {
            locale: (*locale).to_owned(),
            message: format!("{position} to go"),
        };
        claim_coupon_response::Outcome::Queued(QueuedClaim {
            ticket: number.to_string(),
            position: Some(position),
            shortest_wait: (longest / 3).try_into().ok(),
            longest_wait: longest.try_into().ok(),
            poll_after: POLL_AFTER.try_into().ok(),
            messages: languages.iter().map(words).collect(),
            waits_for: WaitsFor::Turn.into(),
        })
    }
}

#[tonic::async_trait]
impl ClaimService for Gateway {
    type WatchClaimStream = ReceiverStream<Result<WatchClaimResponse, Status>>;

    async fn claim_coupon(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<Response<ClaimCouponResponse>, Status> {
        Ok(Response::new(ClaimCouponResponse {
            outcome: Some(self.outcome(&request.into_inner().ticket)),
            trace_id: String::new(),
        }))
    }

    async fn watch_claim(
        &self,
        request: Request<WatchClaimRequest>,
    ) -> Result<Response<Self::WatchClaimStream>, Status> {
        let (gateway, ticket) = (self.clone(), request.into_inner().ticket);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let (outcome, is_last) = match gateway.outcome(&ticket) {
                    claim_coupon_response::Outcome::Issued(issued) => {
                        (watch_claim_response::Outcome::Issued(issued), true)
                    }
                    claim_coupon_response::Outcome::Queued(queued) => {
                        (watch_claim_response::Outcome::Queued(queued), false)
                    }
                };
                let push = WatchClaimResponse {
                    outcome: Some(outcome),
                    trace_id: String::new(),
                };
                if sender.send(Ok(push)).await.is_err() || is_last {
                    return;
                }
                sleep(POLL_AFTER).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn leave_queue(
        &self,
        _: Request<LeaveQueueRequest>,
    ) -> Result<Response<LeaveQueueResponse>, Status> {
        self.left.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(LeaveQueueResponse::default()))
    }

    async fn get_claim(
        &self,
        _: Request<GetClaimRequest>,
    ) -> Result<Response<GetClaimResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }
}

/// What the audit finds after a crowd that is three times what can be served, what was counted, and how many gave their place up.
struct Day {
    order: Finding,
    words: Finding,
    picture: Picture,
    left: u64,
}

async fn day(fault: Fault) -> Result<Day> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let gateway = Gateway {
        fault,
        began: Instant::now(),
        joined: Arc::default(),
        left: Arc::default(),
    };
    let server = Server::builder()
        .add_service(ClaimServiceServer::new(gateway.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let bearer = Bearer::of_token("token")?;
    let threads = Handle::current();
    let caller = Caller::connect(&[address], 2, None, &bearer, &threads, |_| ()).await?;
    let scene = Arc::new(Scene {
        door: Door::new(caller, vec![channel], bearer)?,
        ledger: Ledger::new("run"),
        measures: Measures::new()?,
        collector: Collector::start().await?,
        campaign_id: "day".to_owned(),
        started: Instant::now(),
        opening: Duration::ZERO,
    });
    let crowd = Crowd {
        shoppers: SHOPPERS,
        early_share: 0.0,
        opening: Duration::ZERO,
        day: DAY,
    };
    shoppers::run(scene.clone(), Schedule::new(11, Curve::qwen_day()?, crowd)).await;
    server.abort();
    let told = scene.ledger.told();
    Ok(Day {
        order: queue::order_of_service(&told, scene.opening),
        words: queue::words_and_estimates(&told),
        picture: scene.measures.picture(),
        left: gateway.left.load(Ordering::Relaxed),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_fair_queue_nobody_is_overtaken_and_every_wait_ends_as_its_shopper_is_wont_to()
-> Result<()> {
    let day = day(Fault::None).await?;
    assert!(day.order.holds(), "{:?}", day.order);
    let queue = &day.picture.queue;
    assert!(queue.queued > 100 && queue.served > 80, "{queue:?}");
    assert_eq!((queue.queued, queue.waiting()), (queue.ended(), 0));
    assert!(queue.never_came_back > 0, "{queue:?}");
    assert_eq!((queue.left, queue.unanswered), (day.left, 0));
    assert!(day.left > 0);
    let claims = &day.picture.claims;
    assert_eq!(claims.offered, claims.ended());
    let kept = day.words.count("estimates_kept_percent");
    assert!(kept.is_some_and(|kept| kept >= 90), "{:?}", day.words);
    let wrong_places = day.words.count("wrong_places_that_are_incomplete");
    assert_eq!(wrong_places, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_gateway_is_found_out() -> Result<()> {
    let (unfair, growing, english) = tokio::try_join!(
        day(Fault::ServesNewcomersFirst),
        day(Fault::PositionsGrow),
        day(Fault::SpeaksOneLanguage)
    )?;
    for (finding, wrong) in [
        (unfair.order, "wrong_shoppers_overtaken"),
        (growing.order, "wrong_shoppers_whose_position_grew"),
        (english.words, "wrong_places_without_both_languages"),
    ] {
        let count = finding.count(wrong);
        assert!(
            count.is_some_and(|count| count > 10),
            "{wrong}: {finding:?}"
        );
    }
    Ok(())
}
