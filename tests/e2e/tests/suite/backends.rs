//! Backends beside another one that takes whatever it gets, and what is traced of their calls.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use sqlx::Connection as _;
use tidegate_client::{Bearer, CampaignTerms, Gateway, Refusal, claim_of, order_of, soon};
use tidegate_e2e::{Suite, hold, set};
use tidegate_local::{credentials::Scope, stack::Service};
use tidegate_proto::gateway::v1::{
    GetClaimRequest, IssuedClaim, WatchClaimResponse, claim_coupon_response::Outcome,
};
use tidegate_replay::collector::TraceId;
use tokio::time::sleep;
use tonic::{Request, Status, Streaming};

/// Of so many places one backend alone may have eight ninths, and another that comes then a tenth.
const PLACES: usize = 90;
const OF_ONE: usize = 80;
const OF_NEXT: usize = 9;

/// A chatbot's backend with a token of its own, and a connection of its own to the one gateway.
struct Backend {
    name: &'static str,
    gateway: Gateway,
}

impl Backend {
    fn of(suite: &Suite, name: &'static str) -> Result<Self> {
        let bearer = Bearer::sign(suite.stack.credentials(), name, &Scope::CHATBOT)?;
        Ok(Self {
            name,
            gateway: Gateway::of(&suite.stack, "gateway-0")?.with(bearer),
        })
    }

    async fn watch(&self, number: usize) -> Result<Streaming<WatchClaimResponse>, Status> {
        let shopper = format!("{}-{number}", self.name);
        self.gateway.watch_claim("tea", &shopper, "r-1").await
    }

    async fn claim(&self, number: usize) -> Result<IssuedClaim, Status> {
        let patient = self.gateway.within(Duration::from_secs(8));
        let shopper = format!("{}-{number}", self.name);
        patient.claim("tea", &shopper, "r-1").await
    }

    /// Asks for a claim that there is not, and wants that recorded under this trace.
    async fn ask_recorded(&self, trace: u128) -> Result<(), Status> {
        let mut request = self.gateway.request(GetClaimRequest {
            campaign_id: "tea".into(),
            shopper_id: format!("{}-{trace}", self.name),
            request_id: "r-1".into(),
        });
        record(&mut request, trace);
        self.gateway.claims().get_claim(request).await.map(drop)
    }
}

async fn with_gateway(settings: &[(&str, &str)]) -> Result<Suite> {
    Suite::start_with(|options| {
        options.gateway_replicas = 1;
        options.trace_sample_ratio = 0.0;
        set(options, Service::Gateway, settings);
    })
    .await
}

/// Wants a call recorded under this trace.
fn record<M>(request: &mut Request<M>, trace: u128) {
    let traceparent = format!("00-{trace:032x}-b7ad6b7169203331-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
}

fn reasons<T>(answers: &[Result<T, Status>]) -> BTreeSet<String> {
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    refusals.map(|status| Refusal::of(status).reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_takes_whatever_it_gets_does_not_get_all() -> Result<()> {
    hold!(with_gateway(&[("TIDEGATE_MAX_CLAIM_WATCHES", &PLACES.to_string())]).await?;
        a_backend_that_opens_streams_without_end_leaves_another_a_tenth_at_once,
        a_backend_that_wants_every_call_recorded_has_few_recorded,
    )
}

async fn a_backend_that_opens_streams_without_end_leaves_another_a_tenth_at_once(
    suite: &Suite,
) -> Result<()> {
    // Everybody has a place until then, and nobody a coupon.
    let until_then = Duration::from_secs(300);
    let terms = CampaignTerms::open("tea", 1_000).opening_in(until_then);
    suite.staff.open(terms).await?;
    let (flood, quiet) = (Backend::of(suite, "flood")?, Backend::of(suite, "quiet")?);
    let taken = join_all((0..2 * PLACES).map(|number| flood.watch(number))).await;
    assert_eq!(reasons(&taken), BTreeSet::from(["QUEUE_FULL".to_owned()]));
    assert_eq!(taken.iter().filter(|watch| watch.is_ok()).count(), OF_ONE);
    let few = join_all((0..OF_NEXT).map(|number| quiet.watch(number))).await;
    assert!(few.iter().all(Result::is_ok), "{:?}", reasons(&few));
    assert!(flood.watch(2 * PLACES).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_claims_fill_the_gateway_leaves_another_a_tenth_at_once() -> Result<()> {
    let suite = with_gateway(&[
        ("TIDEGATE_MAX_CLAIMS", &PLACES.to_string()),
        ("TIDEGATE_WAITING_ROOM", "off"),
    ])
    .await?;
    suite.open("tea", 1_000).await?;
    suite.coupon("tea", "first").await?;
    let (flood, quiet) = (Backend::of(&suite, "flood")?, Backend::of(&suite, "quiet")?);
    // Nothing commits for a while, so that claims stay under way.
    let mut database = suite.database_of(Service::Issuance).await?;
    let mut stall = database.begin().await?;
    sqlx::raw_sql("LOCK TABLE coupons IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *stall)
        .await?;
    let flooding = join_all((0..2 * PLACES).map(|number| flood.claim(number)));
    let asking = async {
        sleep(Duration::from_millis(700)).await;
        let few = join_all((0..OF_NEXT).map(|number| quiet.claim(number)));
        let end = async {
            sleep(Duration::from_millis(700)).await;
            stall.rollback().await
        };
        tokio::join!(few, end)
    };
    let (taken, (few, ended)) = tokio::join!(flooding, asking);
    ended?;
    let served = taken.iter().filter(|claim| claim.is_ok()).count();
    assert!(served <= OF_ONE, "{served} of the flood were served");
    let told = reasons(&taken);
    assert!(told.contains("QUEUE_FULL"), "{told:?}");
    assert!(few.iter().all(Result::is_ok), "{:?}", reasons(&few));
    suite.end().await
}

async fn a_backend_that_wants_every_call_recorded_has_few_recorded(suite: &Suite) -> Result<()> {
    const CALLS: u128 = 2_000;
    const AT_ONCE: u128 = 100;
    let flood = Backend::of(suite, "eager")?;
    let began = Instant::now();
    for first in (1..=CALLS).step_by(AT_ONCE as usize) {
        join_all((first..first + AT_ONCE).map(|trace| flood.ask_recorded(trace))).await;
    }
    // As many at once as in two seconds, and a hundred a second.
    let most = 200.0 + 100.0 * began.elapsed().as_secs_f64();
    // Spans are sent every few seconds.
    sleep(Duration::from_secs(8)).await;
    let traces = (1..=CALLS).map(|trace| suite.collector.trace(TraceId::from(trace.to_be_bytes())));
    let recorded = traces.filter(|story| !story.is_empty()).count();
    assert!(recorded >= 100, "{recorded} are recorded");
    assert!(recorded as f64 <= most, "{recorded} are, {most} may be");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_id_leads_from_the_claim_to_the_order_through_every_service() -> Result<()> {
    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    let trace_id = format!("{TRACE:032x}");
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    suite.open("tea", 100).await?;

    let mut claim = suite.request(claim_of("tea", "alice", "r-1"));
    record(&mut claim, TRACE);
    let answer = suite.claims().claim_coupon(claim).await?;
    assert_eq!(
        answer.metadata().get("tidegate-trace-id"),
        Some(&trace_id.parse()?)
    );
    let Some(Outcome::Issued(issued)) = answer.into_inner().outcome else {
        bail!("no coupon")
    };
    let coupon = issued.coupon.unwrap_or_default();
    assert_eq!(coupon.claim_trace_id, trace_id);
    let mut order = suite.request(order_of("alice", "o-1", &coupon.code));
    record(&mut order, TRACE);
    suite.orders().place_order(order).await?;

    let expected: BTreeSet<_> = ["gateway", "issuance", "order-intake", "quota"].into();
    soon(async || {
        let spans = suite.collector.trace(TraceId::from(TRACE.to_be_bytes()));
        let services: BTreeSet<_> = spans.iter().map(|span| &*span.service).collect();
        ensure!(expected.is_subset(&services), "only {services:?}");
        Ok(())
    })
    .await?;
    suite.end().await
}
