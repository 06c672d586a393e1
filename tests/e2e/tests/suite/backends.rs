//! Backends beside another one that takes whatever it gets.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};
use tidegate_e2e::{CampaignTerms, Suite, claim_of, refused, with_token};
use tidegate_local::{
    credentials::{Scope, Token},
    stack::Service,
};
use tidegate_proto::gateway::v1::{
    ClaimCouponResponse, GetClaimRequest, WatchClaimRequest, WatchClaimResponse,
    claim_service_client::ClaimServiceClient,
};
use tidegate_replay::collector::TraceId;
use tokio::time::sleep;
use tonic::{Status, Streaming, transport::Channel};

/// Of so many places one backend alone may have eight ninths, and another that comes then a tenth.
const PLACES: usize = 90;
const OF_ONE: usize = 80;
const OF_NEXT: usize = 9;

struct Backend<'a> {
    name: &'static str,
    token: String,
    door: Channel,
    suite: &'a Suite,
}

impl Backend<'_> {
    async fn watch(&self, number: usize) -> Result<Streaming<WatchClaimResponse>, Status> {
        let message = WatchClaimRequest {
            campaign_id: "tea".into(),
            shopper_id: format!("{}-{number}", self.name),
            request_id: "r-1".into(),
            ..WatchClaimRequest::default()
        };
        let mut client = ClaimServiceClient::new(self.door.clone());
        let answer = client.watch_claim(with_token(message, &self.token)).await?;
        Ok(answer.into_inner())
    }

    async fn claim(&self, number: usize) -> Result<ClaimCouponResponse, Status> {
        let shopper = format!("{}-{number}", self.name);
        let message = claim_of("tea", &shopper, "r-1");
        let mut request = with_token(message, &self.token);
        request.set_timeout(Duration::from_secs(8));
        let mut client = ClaimServiceClient::new(self.door.clone());
        Ok(client.claim_coupon(request).await?.into_inner())
    }

    /// Asks for a claim that there is not, and wants that recorded under this trace.
    async fn ask_recorded(&self, trace: u128) -> Result<(), Status> {
        let message = GetClaimRequest {
            campaign_id: "tea".into(),
            shopper_id: format!("{}-{trace}", self.name),
            request_id: "r-1".into(),
        };
        let mut request = with_token(message, &self.token);
        let traceparent = format!("00-{trace:032x}-b7ad6b7169203331-01").parse();
        let traceparent = traceparent.map_err(|_| Status::internal("traceparent"))?;
        request.metadata_mut().insert("traceparent", traceparent);
        let mut client = ClaimServiceClient::new(self.door.clone());
        client.get_claim(request).await.map(drop)
    }
}

fn backend<'a>(suite: &'a Suite, name: &'static str) -> Result<Backend<'a>> {
    let token = Token::new(name, &Scope::CHATBOT);
    Ok(Backend {
        name,
        token: suite.stack.credentials().sign(&token)?,
        door: suite.door("gateway-0")?,
        suite,
    })
}

async fn with_gateway(settings: &[(&str, &str)]) -> Result<Suite> {
    Suite::start_with(|options| {
        options.gateway_replicas = 1;
        options.trace_sample_ratio = 0.0;
        let of_gateway = settings.iter().map(|(name, value)| {
            let (name, value) = ((*name).to_owned(), Some((*value).to_owned()));
            (Service::Gateway, name, value)
        });
        options.variables.extend(of_gateway);
    })
    .await
}

fn reasons<T>(answers: &[Result<T, Status>]) -> BTreeSet<String> {
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    refusals.map(|status| refused(status).reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_opens_streams_without_end_leaves_another_a_tenth_at_once() -> Result<()> {
    let suite = with_gateway(&[("TIDEGATE_MAX_CLAIM_WATCHES", &PLACES.to_string())]).await?;
    let terms = CampaignTerms {
        // Everybody has a place until then, and nobody a coupon.
        opens_in: Duration::from_secs(300),
        ..CampaignTerms::open("tea", 1_000)
    };
    suite.staff()?.open(terms).await?;
    let (flood, quiet) = (backend(&suite, "flood")?, backend(&suite, "quiet")?);
    let taken = join_all((0..2 * PLACES).map(|number| flood.watch(number))).await;
    assert_eq!(reasons(&taken), BTreeSet::from(["QUEUE_FULL".to_owned()]));
    assert_eq!(taken.iter().filter(|watch| watch.is_ok()).count(), OF_ONE);
    let few = join_all((0..OF_NEXT).map(|number| quiet.watch(number))).await;
    assert!(few.iter().all(Result::is_ok), "{:?}", reasons(&few));
    assert!(flood.watch(2 * PLACES).await.is_err());
    drop((taken, few));
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_claims_fill_the_gateway_leaves_another_a_tenth_at_once() -> Result<()> {
    let suite = with_gateway(&[
        ("TIDEGATE_MAX_CLAIMS", &PLACES.to_string()),
        ("TIDEGATE_WAITING_ROOM", "off"),
    ])
    .await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 1_000))
        .await?;
    suite.coupon("tea", "first").await?;
    let (flood, quiet) = (backend(&suite, "flood")?, backend(&suite, "quiet")?);
    // Nothing commits for a while, so that claims stay under way.
    let url = suite.stack.database_url(Service::Issuance);
    let mut database = PgConnection::connect(&url.context("issuance has no database")?).await?;
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
    assert!(
        reasons(&taken).contains("QUEUE_FULL"),
        "{:?}",
        reasons(&taken)
    );
    assert!(few.iter().all(Result::is_ok), "{:?}", reasons(&few));
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_wants_every_call_recorded_has_few_recorded() -> Result<()> {
    const CALLS: u128 = 2_000;
    const AT_ONCE: u128 = 100;
    let suite = with_gateway(&[]).await?;
    suite.staff()?.open(CampaignTerms::open("tea", 10)).await?;
    let flood = backend(&suite, "flood")?;
    let began = Instant::now();
    for first in (1..=CALLS).step_by(AT_ONCE as usize) {
        join_all((first..first + AT_ONCE).map(|trace| flood.ask_recorded(trace))).await;
    }
    // As many at once as in two seconds, and a hundred a second.
    let most = 200.0 + 100.0 * began.elapsed().as_secs_f64();
    let recorded = || {
        let traces = (1..=CALLS).map(|trace| TraceId::from(trace.to_be_bytes()));
        let traces = traces.map(|trace| flood.suite.collector.trace(trace));
        traces.filter(|spans| !spans.is_empty()).count()
    };
    // Spans are sent every few seconds.
    sleep(Duration::from_secs(8)).await;
    let recorded = recorded();
    assert!(recorded >= 100, "{recorded} are recorded");
    assert!(
        recorded as f64 <= most,
        "{recorded} are recorded, {most} may be"
    );
    suite.end().await
}
