//! Those who cannot be served now: their place, how they move up, and how it ends.

use std::{
    mem::take,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{
    CampaignTerms, Gateway, QueuedShopper, Refusal, SOON, Staff, Told, becomes, claim_of, refused,
    soon,
};
use tidegate_e2e::{Suite, hold};
use tidegate_local::stack::Service;
use tidegate_proto::{
    gateway::v1::{QueuedClaim, claim_coupon_response::Outcome, watch_claim_response},
    r#type::v1::IssuanceControl,
};
use tokio::time::{sleep, timeout};
use tonic::Code;

/// Two claims this far apart are in different cohorts, and the first one's is complete.
const COHORTS_APART: Duration = Duration::from_millis(2_500);
const UNTIL_THE_OPENING: Duration = Duration::from_secs(10);

/// A campaign that staff hold: everybody who comes gets a place, and nobody is served.
struct Held {
    id: &'static str,
    staff: Staff,
    first: Gateway,
    second: Gateway,
}

impl Held {
    async fn open(suite: &Suite, id: &'static str) -> Result<Self> {
        Self::open_with(suite, CampaignTerms::open(id, 1_000), id).await
    }

    async fn open_with(suite: &Suite, terms: CampaignTerms, id: &'static str) -> Result<Self> {
        let held = Self {
            id,
            staff: suite.staff.clone(),
            first: suite.gateways[0].clone(),
            second: suite.gateways[1].clone(),
        };
        held.staff.open(terms).await?;
        held.issuing(IssuanceControl::QueueOnly).await?;
        for gateway in &suite.gateways {
            let scout = claim_of(id, "scout", "r-1");
            gateway.is_told(scout, Told::Queued).await?;
        }
        Ok(held)
    }

    fn shopper(&self, name: &str) -> QueuedShopper {
        QueuedShopper::new(claim_of(self.id, name, "r-1"))
    }

    /// So many shoppers, each with a place at the first gateway.
    async fn queued(&self, name: &str, count: usize) -> Result<Vec<QueuedShopper>> {
        let mut shoppers = Vec::new();
        for number in 0..count {
            let mut shopper = self.shopper(&format!("{name}-{number}"));
            shopper.queued(&self.first).await?;
            shoppers.push(shopper);
        }
        Ok(shoppers)
    }

    async fn issuing(&self, issuance: IssuanceControl) -> Result<()> {
        self.staff.issuing(self.id, issuance).await?;
        Ok(())
    }

    /// Waits until the campaign opens. Whoever asks now is there when it had promised to be.
    async fn opening(&self) -> Result<()> {
        let opens_at = self.staff.read(self.id).await?.opens_at.unwrap_or_default();
        let left = SystemTime::try_from(opens_at)?.duration_since(SystemTime::now());
        let left = left.context("it opened while shoppers came")?;
        sleep(left + Duration::from_millis(20)).await;
        Ok(())
    }

    /// Lets everybody in and follows these shoppers to their coupons.
    async fn serve(&self, shoppers: &mut [QueuedShopper]) -> Result<()> {
        self.issuing(IssuanceControl::Open).await?;
        for shopper in shoppers {
            shopper.follow(&self.first).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_queued_and_everybody_in_it_is_served() -> Result<()> {
    let settings = [("TIDEGATE_MAX_CLAIMS", "1")];
    let suite = Suite::start_set(Service::Gateway, &settings).await?;
    suite.open("tea", 1_000).await?;
    let crowd = (0..300).map(async |number: usize| {
        let gateway = &suite.gateways[number % 2];
        let mut shopper = QueuedShopper::new(claim_of("tea", &format!("crowd-{number}"), "r-1"));
        let answer = shopper.ask(gateway).await;
        (shopper, gateway, matches!(answer, Ok(Outcome::Issued(_))))
    });
    let arrivals = join_all(crowd).await.into_iter();
    let waiting: Vec<_> = arrivals.filter(|(_, _, is_served)| !is_served).collect();
    assert!(waiting.len() > 100, "{} had to wait", waiting.len());
    let waiting = waiting.into_iter();
    let following = waiting.map(async |(mut shopper, gateway, _)| shopper.follow(gateway).await);
    try_join_all(following).await?;
    assert_eq!(suite.staff.differences("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_queue_is_kept_told_and_served_in_its_turn() -> Result<()> {
    hold!(Suite::start().await?;
        a_crowd_is_queued_and_served_in_order,
        before_the_opening_everybody_waits_and_the_order_is_drawn,
        whoever_is_behind_the_stock_is_told_so_and_added_budget_serves_them,
        queue_only_holds_the_queue,
        who_leaves_or_comes_back_no_more_lets_others_move_up,
        a_halt_keeps_the_ticket,
        watch_claim_pushes_the_place_and_then_the_coupon,
        a_queue_survives_the_death_of_quota,
    )
}

async fn a_crowd_is_queued_and_served_in_order(suite: &Suite) -> Result<()> {
    let held = Held::open(suite, "order").await?;
    let mut groups = Vec::new();
    for group in 0..3 {
        groups.push(held.queued(&format!("shopper-{group}"), 20).await?);
        sleep(COHORTS_APART).await;
    }
    held.issuing(IssuanceControl::Open).await?;
    // The last ask first and without a pause. Once one of them is served, nobody of an earlier
    // second is told to wait.
    let began = Instant::now();
    let mut last_served = 0;
    let mut left: Vec<_> = groups.into_iter().enumerate().rev().collect();
    while left.iter().any(|(_, shoppers)| !shoppers.is_empty()) {
        assert!(began.elapsed() < SOON, "nobody moves");
        for (group, shoppers) in &mut left {
            let mut still = Vec::new();
            for mut shopper in take(shoppers) {
                match shopper.ask(&held.first).await {
                    Ok(Outcome::Issued(_)) => last_served = last_served.max(*group),
                    Ok(Outcome::Queued(_)) => {
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
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn a_queue_survives_the_death_of_quota(suite: &mut Suite) -> Result<()> {
    let held = Held::open(suite, "survives").await?;
    let mut shoppers = held.queued("shopper", 30).await?;
    suite.stack.kill("quota-0").await?;
    // A place can be had and asked for meanwhile.
    let mut late = held.shopper("late");
    late.queued(&held.second).await?;
    for shopper in &mut shoppers {
        shopper.queued(&held.first).await?;
    }
    suite.stack.restart("quota-0").await?;
    held.serve(&mut shoppers).await?;
    late.follow(&held.second).await?;
    Ok(())
}

async fn before_the_opening_everybody_waits_and_the_order_is_drawn(suite: &Suite) -> Result<()> {
    let terms = CampaignTerms::open("drawn", 1_000).opening_in(UNTIL_THE_OPENING);
    let held = Held::open_with(suite, terms, "drawn").await?;
    let mut shoppers = Vec::new();
    for number in 0..40 {
        let mut shopper = held.shopper(&format!("shopper-{number}"));
        let queued = shopper.queued(&held.first).await?;
        assert_eq!((queued.position, queued.shortest_wait), (None, None));
        assert!(queued.messages[1].message.contains("drawn at random"));
        shoppers.push(shopper);
    }
    // Another request id draws the same lot, also at another gateway.
    let mut again = QueuedShopper::new(claim_of("drawn", "shopper-7", "r-2"));
    again.queued(&held.second).await?;
    held.opening().await?;
    let mut positions = Vec::new();
    for shopper in &mut shoppers {
        let queued = shopper.queued(&held.first).await?;
        positions.push(queued.position.unwrap_or_default());
    }
    // Draws are spread evenly, and whom another gateway knows of is told a moment later.
    let drawn = again.queued(&held.second).await?;
    let drawn = drawn.position.unwrap_or_default();
    let distance = drawn.abs_diff(positions[7]);
    assert!(distance <= 8, "{drawn}, {}", positions[7]);
    let mut sorted = positions.clone();
    sorted.sort_unstable();
    assert_ne!(positions, sorted, "the order is that of arrival");
    assert!(sorted.iter().all(|position| (1..=43).contains(position)));
    assert!(sorted[30] - sorted[5] > 10, "{sorted:?}");
    held.serve(&mut shoppers).await
}

async fn whoever_is_behind_the_stock_is_told_so_and_added_budget_serves_them(
    suite: &Suite,
) -> Result<()> {
    let terms = CampaignTerms::open("behind", 5).opening_in(UNTIL_THE_OPENING);
    let held = Held::open_with(suite, terms, "behind").await?;
    let mut shoppers = held.queued("shopper", 20).await?;
    held.issuing(IssuanceControl::Open).await?;
    held.opening().await?;
    let is_behind = |queued: &QueuedClaim| {
        let words = &queued.messages[1].message;
        words.contains("fewer coupons left than people before you")
    };
    let mut behind = 0;
    for shopper in &mut shoppers {
        match shopper.ask(&held.first).await {
            Ok(Outcome::Queued(queued)) => behind += u32::from(is_behind(&queued)),
            Ok(Outcome::Issued(_)) => {}
            // Final is only what is sold out in truth.
            Err(status) => assert!(Refusal::of(&status).reason != "BUDGET_EXHAUSTED" || behind > 0),
        }
    }
    held.staff.add_budget("behind", "tea", "more", 100).await?;
    for shopper in &shoppers {
        soon(async || shopper.clone().follow(&held.first).await).await?;
    }
    Ok(())
}

async fn queue_only_holds_the_queue(suite: &Suite) -> Result<()> {
    let held = Held::open(suite, "holds").await?;
    let mut shopper = held.shopper("ann");
    let began = Instant::now();
    while began.elapsed() < 2 * COHORTS_APART {
        let queued = shopper.queued(&held.first).await?;
        assert_eq!((queued.shortest_wait, queued.longest_wait), (None, None));
        assert!(queued.position.is_some());
        assert!(queued.messages[1].message.contains("your place is kept"));
        sleep(Duration::from_millis(300)).await;
    }
    held.serve(&mut [shopper]).await?;
    // Who holds the coupon gets it again, whatever staff say now.
    held.issuing(IssuanceControl::QueueOnly).await?;
    let again = suite.claim("holds", "ann", "r-1").await?;
    assert!(again.replayed);
    Ok(())
}

async fn who_leaves_or_comes_back_no_more_lets_others_move_up(suite: &Suite) -> Result<()> {
    let held = Held::open(suite, "leaves").await?;
    let first = held.queued("first", 4).await?;
    sleep(COHORTS_APART).await;
    let mut last = held.shopper("last");
    // The scout may be among those ahead.
    let before = last.queued(&held.second).await?.position;
    assert!((5..=7).contains(&before.unwrap_or_default()), "{before:?}");
    for shopper in &first[..3] {
        shopper.leave(&held.first).await?;
        shopper.leave(&held.first).await?;
    }
    becomes(Some(1), async || {
        Ok(last.queued(&held.second).await?.position)
    })
    .await?;
    let mut forged = first[3].clone();
    forged.claim.shopper_id = "somebody-else".into();
    let refusal = refused(forged.ask(&held.first).await);
    assert_eq!(refusal.fields, ["ticket"]);
    Ok(())
}

async fn a_halt_keeps_the_ticket(suite: &Suite) -> Result<()> {
    let held = Held::open(suite, "ticket").await?;
    let mut shoppers = held.queued("ann", 1).await?;
    held.issuing(IssuanceControl::Halted).await?;
    let ask = async || shoppers[0].clone().ask(&held.first).await;
    let status = soon(async || ask().await.err().context("it is not halted yet")).await?;
    assert_eq!(Refusal::of(&status).reason, "ISSUANCE_HALTED");
    let said = status.message();
    assert!(said.contains("place in the queue is kept"), "{said}");
    held.issuing(IssuanceControl::Open).await?;
    // Who asks before the gateway has heard of it is told to come back in a minute or so.
    soon(ask).await?;
    held.serve(&mut shoppers).await
}

async fn watch_claim_pushes_the_place_and_then_the_coupon(suite: &Suite) -> Result<()> {
    let held = Held::open(suite, "watch").await?;
    let ahead = held.queued("ahead", 1).await?;
    sleep(COHORTS_APART).await;
    let mut stream = suite.watch_claim("watch", "ann", "r-1").await?;
    let mut shopper = held.shopper("ann");
    let mut told = Vec::new();
    ahead[0].leave(&held.first).await?;
    let coupon = timeout(SOON, async {
        while let Some(happened) = stream.message().await? {
            match happened.outcome {
                Some(watch_claim_response::Outcome::Queued(queued)) => {
                    shopper.hear(&queued);
                    told.push(queued.position);
                    if told.len() == 2 {
                        held.issuing(IssuanceControl::Open).await?;
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
    Ok(())
}
