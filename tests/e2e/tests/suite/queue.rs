//! Those who cannot be served now: their place, how they move up, and how it ends.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use futures_util::future::join_all;
use tidegate_e2e::{Answer, CampaignTerms, Shopper, StaffDesk, Suite, eventually, refused};
use tidegate_local::stack::Service;
use tidegate_proto::{
    gateway::v1::{
        QueuedClaim, WatchClaimRequest, claim_service_client::ClaimServiceClient,
        watch_claim_response,
    },
    quota::v1::AddBudgetRequest,
    r#type::v1::{IssuanceControl, RedemptionControl},
};
use tonic::Code;

const SOON: Duration = Duration::from_secs(20);
/// Two claims this far apart are in different cohorts, and the first one's is complete.
const COHORTS_APART: Duration = Duration::from_millis(2_500);

async fn control(staff: &StaffDesk, issuance: IssuanceControl) -> Result<()> {
    staff
        .control("tea", issuance, RedemptionControl::Open)
        .await?;
    Ok(())
}

/// A suite whose campaign staff hold: everybody who comes gets a place, and nobody is served.
async fn held(terms: CampaignTerms) -> Result<(Suite, StaffDesk)> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(terms).await?;
    control(&staff, IssuanceControl::QueueOnly).await?;
    let mut scout = Shopper::new("scout");
    for gateway in ["gateway-0", "gateway-1"] {
        scout = scout.at(gateway);
        eventually(SOON, || {
            let mut scout = scout.clone();
            let suite = &suite;
            async move { scout.queued(suite).await }
        })
        .await?;
    }
    Ok((suite, staff))
}

/// Waits until the campaign opens. Whoever asks now is there when it had promised to be.
async fn opening(staff: &StaffDesk) -> Result<()> {
    let opens_at = staff.read("tea").await?.opens_at.unwrap_or_default();
    let opens_at = SystemTime::try_from(opens_at)?;
    let left = opens_at.duration_since(SystemTime::now());
    assert!(left.is_ok(), "it opened while shoppers came");
    tokio::time::sleep(left? + Duration::from_millis(20)).await;
    Ok(())
}

/// Waits until a shopper's position is this one.
async fn reaches(shopper: &mut Shopper, suite: &Suite, position: u64) -> Result<()> {
    let began = Instant::now();
    while shopper.queued(suite).await?.position != Some(position) {
        if began.elapsed() > SOON {
            bail!("the position is {:?} and not {position}", shopper.told);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_queued_and_everybody_in_it_is_served() -> Result<()> {
    let suite = Suite::start_with(|options| {
        let one = Some("1".to_owned());
        options
            .variables
            .push((Service::Gateway, "TIDEGATE_MAX_CLAIMS".into(), one));
    })
    .await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1_000)).await?;
    let arrivals = join_all((0..300).map(|number| {
        let suite = &suite;
        let gateway = ["gateway-0", "gateway-1"][number % 2];
        let mut shopper = Shopper::new(&format!("crowd-{number}")).at(gateway);
        async move {
            let answer = shopper.ask(suite).await;
            (shopper, answer)
        }
    }))
    .await;
    let mut waiting: Vec<_> = arrivals
        .into_iter()
        .filter(|(_, answer)| !matches!(answer, Ok(Answer::Issued(_))))
        .map(|(shopper, _)| shopper)
        .collect();
    assert!(waiting.len() > 100, "{} had to wait", waiting.len());
    for served in join_all(waiting.iter_mut().map(|shopper| shopper.follow(&suite))).await {
        served?;
    }
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_queued_and_served_in_order() -> Result<()> {
    let (suite, staff) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut groups = Vec::new();
    for group in 0..3 {
        let mut shoppers: Vec<_> = (0..20)
            .map(|number| Shopper::new(&format!("shopper-{group}-{number}")))
            .collect();
        for shopper in &mut shoppers {
            shopper.queued(&suite).await?;
        }
        groups.push(shoppers);
        tokio::time::sleep(COHORTS_APART).await;
    }
    control(&staff, IssuanceControl::Open).await?;
    // The last ask first and without a pause. Once one of them is served, nobody of an earlier second is told to wait.
    let began = Instant::now();
    let mut last_served = 0;
    let mut left: Vec<_> = groups.into_iter().enumerate().rev().collect();
    while left.iter().any(|(_, shoppers)| !shoppers.is_empty()) {
        assert!(began.elapsed() < 2 * SOON, "nobody moves");
        for (group, shoppers) in &mut left {
            let mut still = Vec::new();
            for mut shopper in std::mem::take(shoppers) {
                match shopper.ask(&suite).await {
                    Ok(Answer::Issued(_)) => last_served = last_served.max(*group),
                    Ok(Answer::Queued(_)) => {
                        assert!(*group >= last_served, "{group} waits after {last_served}");
                        still.push(shopper);
                    }
                    // Stock is on its way to issuance; whose turn it is does not change.
                    Err(status) if status.code() == Code::Unavailable => still.push(shopper),
                    Err(status) => return Err(status.into()),
                }
            }
            *shoppers = still;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_survives_the_death_of_quota() -> Result<()> {
    let (mut suite, staff) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut shoppers: Vec<_> = (0..30)
        .map(|number| Shopper::new(&format!("shopper-{number}")))
        .collect();
    for shopper in &mut shoppers {
        shopper.queued(&suite).await?;
    }
    suite.stack.kill("quota-0").await?;
    // A place can be had and asked for meanwhile.
    let mut late = Shopper::new("late").at("gateway-1");
    late.queued(&suite).await?;
    for shopper in &mut shoppers {
        shopper.queued(&suite).await?;
    }
    suite.stack.restart("quota-0").await?;
    control(&staff, IssuanceControl::Open).await?;
    for shopper in shoppers.iter_mut().chain([&mut late]) {
        shopper.follow(&suite).await?;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_opening_everybody_waits_and_the_order_is_drawn() -> Result<()> {
    let terms = CampaignTerms {
        opens_in: Duration::from_secs(10),
        ..CampaignTerms::open("tea", 1_000)
    };
    let (suite, staff) = held(terms).await?;
    let mut shoppers: Vec<_> = (0..40)
        .map(|number| Shopper::new(&format!("shopper-{number}")))
        .collect();
    for shopper in &mut shoppers {
        let queued = shopper.queued(&suite).await?;
        assert_eq!((queued.position, queued.shortest_wait), (None, None));
        assert!(queued.messages[1].message.contains("drawn at random"));
    }
    // Another request id draws the same lot, also at another gateway.
    let mut again = shoppers[7].clone().at("gateway-1");
    again.claim.request_id = "r-2".into();
    again.claim.ticket.clear();
    again.queued(&suite).await?;
    opening(&staff).await?;
    let mut positions = Vec::new();
    for shopper in &mut shoppers {
        positions.push(shopper.queued(&suite).await?.position.unwrap_or_default());
    }
    // Draws are spread evenly, and whom another gateway knows of is told a moment later.
    let drawn = again.queued(&suite).await?.position.unwrap_or_default();
    assert!(
        drawn.abs_diff(positions[7]) <= 8,
        "{drawn}, {}",
        positions[7]
    );
    let mut sorted = positions.clone();
    sorted.sort_unstable();
    assert_ne!(positions, sorted, "the order is that of arrival");
    assert!(sorted.iter().all(|position| (1..=43).contains(position)));
    assert!(sorted[30] - sorted[5] > 10, "{sorted:?}");
    control(&staff, IssuanceControl::Open).await?;
    for shopper in &mut shoppers {
        shopper.follow(&suite).await?;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_behind_the_stock_is_told_so_and_added_budget_serves_them() -> Result<()> {
    let terms = CampaignTerms {
        opens_in: Duration::from_secs(10),
        ..CampaignTerms::open("tea", 5)
    };
    let (suite, staff) = held(terms).await?;
    let mut shoppers: Vec<_> = (0..20)
        .map(|number| Shopper::new(&format!("shopper-{number}")))
        .collect();
    for shopper in &mut shoppers {
        shopper.queued(&suite).await?;
    }
    control(&staff, IssuanceControl::Open).await?;
    opening(&staff).await?;
    let is_behind = |queued: &QueuedClaim| {
        let words = &queued.messages[1].message;
        words.contains("fewer coupons left than people before you")
    };
    let mut behind = 0;
    for shopper in &mut shoppers {
        match shopper.ask(&suite).await {
            Ok(Answer::Queued(queued)) => behind += u32::from(is_behind(&queued)),
            Ok(Answer::Issued(_)) => {}
            // Final is only what is sold out in truth.
            Err(status) => assert!(refused(&status).reason != "BUDGET_EXHAUSTED" || behind > 0),
        }
    }
    add_budget(&staff, 100).await?;
    for shopper in &mut shoppers {
        eventually(SOON, || {
            let mut shopper = shopper.clone();
            let suite = &suite;
            async move { shopper.follow(suite).await }
        })
        .await?;
    }
    suite.end().await
}

async fn add_budget(staff: &StaffDesk, additional_stock: u64) -> Result<()> {
    let message = AddBudgetRequest {
        campaign_id: "tea".into(),
        request_id: "more".into(),
        tier_id: "tea".into(),
        additional_stock,
        reason: "more cups".into(),
    };
    staff.campaigns().add_budget(staff.request(message)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_only_holds_the_queue() -> Result<()> {
    let (suite, staff) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut shopper = Shopper::new("ann");
    let began = Instant::now();
    while began.elapsed() < 2 * COHORTS_APART {
        let queued = shopper.queued(&suite).await?;
        assert_eq!((queued.shortest_wait, queued.longest_wait), (None, None));
        assert!(queued.position.is_some());
        assert!(queued.messages[1].message.contains("your place is kept"));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    control(&staff, IssuanceControl::Open).await?;
    shopper.follow(&suite).await?;
    // Who holds the coupon gets it again, whatever staff say now.
    control(&staff, IssuanceControl::QueueOnly).await?;
    let mut again = Shopper::new("ann");
    again.claim.ticket.clear();
    assert!(matches!(again.ask(&suite).await?, Answer::Issued(issued) if issued.replayed));
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_or_comes_back_no_more_lets_others_move_up() -> Result<()> {
    let (suite, _) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut first: Vec<_> = (0..4)
        .map(|number| Shopper::new(&format!("first-{number}")))
        .collect();
    for shopper in &mut first {
        shopper.queued(&suite).await?;
    }
    tokio::time::sleep(COHORTS_APART).await;
    let mut last = Shopper::new("last").at("gateway-1");
    // The scout may be among those ahead.
    let before = last.queued(&suite).await?.position.unwrap_or_default();
    assert!((5..=7).contains(&before), "{before}");
    for shopper in &first[..3] {
        shopper.leave(&suite).await?;
        shopper.leave(&suite).await?;
    }
    reaches(&mut last, &suite, 1).await?;
    let mut forged = first[3].clone();
    forged.claim.shopper_id = "somebody-else".into();
    let refusal = refused(&forged.ask(&suite).await.unwrap_err());
    assert_eq!(refusal.fields, ["ticket"]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_keeps_the_ticket() -> Result<()> {
    let (suite, staff) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut shopper = Shopper::new("ann");
    shopper.queued(&suite).await?;
    control(&staff, IssuanceControl::Halted).await?;
    let status = eventually(SOON, || {
        let mut shopper = shopper.clone();
        let suite = &suite;
        async move { shopper.ask(suite).await.err().ok_or("not halted yet") }
    })
    .await
    .map_err(anyhow::Error::msg)?;
    assert_eq!(refused(&status).reason, "ISSUANCE_HALTED");
    assert!(
        status.message().contains("place in the queue is kept"),
        "{status}"
    );
    control(&staff, IssuanceControl::Open).await?;
    // Who asks before the gateway has heard of it is told to come back in a minute or so.
    eventually(SOON, || {
        let mut shopper = shopper.clone();
        let suite = &suite;
        async move { shopper.ask(suite).await }
    })
    .await?;
    shopper.follow(&suite).await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_claim_pushes_the_place_and_then_the_coupon() -> Result<()> {
    let (suite, staff) = held(CampaignTerms::open("tea", 1_000)).await?;
    let mut ahead = Shopper::new("ahead");
    ahead.queued(&suite).await?;
    tokio::time::sleep(COHORTS_APART).await;
    let watch = WatchClaimRequest {
        campaign_id: "tea".into(),
        shopper_id: "ann".into(),
        request_id: "r-1".into(),
        ..WatchClaimRequest::default()
    };
    let mut stream = ClaimServiceClient::new(suite.door("gateway-0")?)
        .watch_claim(suite.request(watch))
        .await?
        .into_inner();
    let mut shopper = Shopper::new("ann");
    let mut told = Vec::new();
    ahead.leave(&suite).await?;
    let coupon = tokio::time::timeout(2 * SOON, async {
        while let Some(happened) = stream.message().await? {
            match happened.outcome {
                Some(watch_claim_response::Outcome::Queued(queued)) => {
                    shopper.hear(&queued);
                    told.push(queued.position);
                    if told.len() == 2 {
                        control(&staff, IssuanceControl::Open).await?;
                    }
                }
                Some(watch_claim_response::Outcome::Issued(issued)) => return Ok(issued.coupon),
                None => bail!("nothing happened"),
            }
        }
        bail!("the stream ended after {told:?}")
    })
    .await??;
    assert!(coupon.is_some());
    assert!(told.len() >= 2 && told[1] < told[0], "{told:?}");
    suite.end().await
}
