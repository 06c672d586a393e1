//! What a chatbot is told about claims. A request id belongs to one claim, for what it asked for
//! first, whatever its campaign has become; and the crowd that comes after the last coupon is
//! answered from what gateways remember.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use tidegate_client::{CampaignTerms, HOUR, Told, becomes, claim_of, later, never, refused, soon};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, IssuedClaim, get_claim_response::Outcome},
    r#type::v1::IssuanceControl,
};
use tokio::time::sleep;
use tonic::Code;

const OPEN_FOR: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_yields_its_coupon_for_ever_and_every_refusal_tells_why() -> Result<()> {
    hold!(Suite::start().await?;
        a_replayed_claim_returns_the_first_coupon_over_either_gateway,
        refused_claims_are_told_the_reason_and_whether_to_come_back,
        when_demand_exceeds_stock_every_coupon_is_issued_and_the_sell_out_is_final,
    )
}

fn code(issued: IssuedClaim) -> String {
    issued.coupon.unwrap_or_default().code
}

async fn a_replayed_claim_returns_the_first_coupon_over_either_gateway(
    suite: &Suite,
) -> Result<()> {
    suite.open("again", 100).await?;
    let first = suite.claim("again", "alice", "r-1").await?;
    let second = &suite.gateways[1];
    let again = second.claim("again", "alice", "r-1").await?;
    assert!(!first.replayed && again.replayed);
    let first = code(first);
    let is_letter = |letter| "0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(letter);
    assert!(first.len() == 16 && first.chars().all(is_letter), "{first}");
    assert_eq!(first, code(again));
    let found = second.look_up("again", "alice", "r-1").await?.outcome;
    let Some(Outcome::Issued(found)) = found else {
        panic!("no coupon")
    };
    assert_eq!(first, code(found));
    Ok(())
}

async fn refused_claims_are_told_the_reason_and_whether_to_come_back(suite: &Suite) -> Result<()> {
    let over = Duration::from_secs(1);
    for terms in [
        CampaignTerms::open("tea", 0).with_sizes(10, 10),
        CampaignTerms::open("later", 10).opening_in(HOUR),
        CampaignTerms::open("over", 10).closing_after(over),
    ] {
        suite.staff.open(terms).await?;
    }
    let earlier = code(suite.claim("over", "alice", "r-1").await?);
    suite.claim("tea", "alice", "r-1").await?;
    sleep(over).await;

    let other_content = ClaimCouponRequest {
        tier_id: "small".into(),
        ..claim_of("tea", "alice", "r-1")
    };
    let of = claim_of;
    let (not_met, not_found) = (Code::FailedPrecondition, Code::NotFound);
    let conflict = Code::AlreadyExists;
    for (claim, code, reason) in [
        (
            of("nothing", "alice", "r-1"),
            not_found,
            "CAMPAIGN_NOT_FOUND",
        ),
        (of("later", "alice", "r-1"), not_met, "CAMPAIGN_NOT_OPEN"),
        (of("over", "bob", "r-1"), not_met, "CAMPAIGN_CLOSED"),
        (of("tea", "alice", "r-2"), not_met, "SHOPPER_LIMIT_REACHED"),
        (other_content, conflict, "REQUEST_ID_CONFLICT"),
    ] {
        let told = refused(suite.ask(claim).await).is(code, reason);
        assert_eq!(told.locales, ["zh-CN", "en"], "{reason}");
        if reason == "CAMPAIGN_NOT_OPEN" {
            let after = told.retry_after.unwrap_or_default();
            assert!(after > HOUR / 2 && after <= HOUR, "{told:?}");
        } else {
            let again = (told.retry_after, told.pushback.as_deref());
            assert_eq!(again, (None, Some("-1")));
        }
    }
    let replayed = code(suite.claim("over", "alice", "r-1").await?);
    assert_eq!(replayed, earlier, "it is the same after the end");
    Ok(())
}

async fn when_demand_exceeds_stock_every_coupon_is_issued_and_the_sell_out_is_final(
    suite: &Suite,
) -> Result<()> {
    const STOCK: u64 = 300;
    suite.open("few", STOCK).await?;
    let first = suite.coupon("few", "shopper-0").await?;
    let shoppers = (1..2 * STOCK).map(async |number| {
        let claim = claim_of("few", &format!("shopper-{number}"), "the-claim");
        soon(async || match suite.told(claim.clone()).await {
            Told::Issued(_) => Ok(1),
            told if told == never("BUDGET_EXHAUSTED") => Ok(0),
            Told::Never(reason) => panic!("{reason}"),
            told => Err(anyhow::anyhow!("{told:?}")),
        })
        .await
    });
    let served: u64 = try_join_all(shoppers).await?.into_iter().sum();
    assert_eq!(served, STOCK - 1, "the first one has the other");

    let told = refused(suite.claim("few", "latecomer", "r-1").await)
        .is(Code::ResourceExhausted, "BUDGET_EXHAUSTED");
    assert_eq!(told.retry_after, None);
    let stands = suite.get_coupon("shopper-0", &first).await;
    stands.context("a coupon issued before the sell-out still stands")?;
    let campaign = suite.staff.read("few").await?;
    assert!(campaign.sold_out);
    let stock = campaign.stock.iter();
    let stock: Vec<_> = stock
        .map(|tier| (tier.free, tier.leased, tier.settled))
        .collect();
    assert_eq!(stock, [(0, 0, STOCK)]);
    Ok(())
}

pub(super) fn claim_for(campaign: &str, shopper: &str, tier: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        tier_id: tier.into(),
        ..claim_of(campaign, shopper, "r-1")
    }
}

/// Waits until both gateways tell somebody new this, so that they are in the phase that is tried.
async fn phase(suite: &Suite, claim: ClaimCouponRequest, expected: Told) -> Result<()> {
    for gateway in &suite.gateways {
        gateway.is_told(claim.clone(), expected.clone()).await?;
    }
    Ok(())
}

/// Ann's claim for a large tea is hers in this phase as well, and no other claim is.
async fn one_rule(suite: &Suite, campaign: &str, code: &str, phase: &str) -> Result<()> {
    for gateway in &suite.gateways {
        for (tier, expected) in [
            ("large", Told::Issued(code.into())),
            ("small", never("REQUEST_ID_CONFLICT")),
            ("", never("REQUEST_ID_CONFLICT")),
        ] {
            let told = gateway.told(claim_for(campaign, "ann", tier)).await;
            assert_eq!(told, expected, "{phase}: {tier:?}");
        }
        gateway.look_up(campaign, "ann", "r-1").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_for_another_tier_is_a_conflict_for_ever() -> Result<()> {
    hold!(Suite::start().await?;
        it_is_a_conflict_in_every_phase,
        it_is_a_conflict_after_the_end_and_while_the_claim_waits,
    )
}

async fn it_is_a_conflict_in_every_phase(suite: &Suite) -> Result<()> {
    let staff = &suite.staff;
    staff
        .open(CampaignTerms::open("tea", 0).with_sizes(2, 1))
        .await?;
    let small = |shopper| claim_for("tea", shopper, "small");
    let code = suite.is_served(claim_for("tea", "ann", "large")).await?;
    one_rule(suite, "tea", &code, "open").await?;
    for (issuance, told) in [
        (IssuanceControl::QueueOnly, Told::Queued),
        (IssuanceControl::Halted, later("ISSUANCE_HALTED")),
    ] {
        staff.issuing("tea", issuance).await?;
        phase(suite, small("scout"), told).await?;
        one_rule(suite, "tea", &code, issuance.as_str_name()).await?;
    }
    staff.issuing("tea", IssuanceControl::Open).await?;
    // The scout's claim is served now, and takes the last small one.
    suite.is_served(small("scout")).await?;
    phase(suite, small("late"), never("BUDGET_EXHAUSTED")).await?;
    one_rule(suite, "tea", &code, "tier gone").await?;
    suite.is_served(claim_for("tea", "bob", "large")).await?;
    becomes(true, async || Ok(staff.read("tea").await?.sold_out)).await?;
    // A gateway hears of it within a second.
    sleep(Duration::from_secs(1)).await;
    one_rule(suite, "tea", &code, "sold out").await
}

async fn it_is_a_conflict_after_the_end_and_while_the_claim_waits(suite: &Suite) -> Result<()> {
    let terms = |id: &str| CampaignTerms::open(id, 0).with_sizes(10, 10);
    let over = terms("over").closing_after(OPEN_FOR);
    suite.staff.open(over).await?;
    let code = suite.is_served(claim_for("over", "ann", "large")).await?;
    suite.staff.open(terms("held")).await?;
    let held = IssuanceControl::QueueOnly;
    suite.staff.issuing("held", held).await?;
    phase(suite, claim_for("held", "scout", "large"), Told::Queued).await?;
    for gateway in &suite.gateways {
        let other = gateway.told(claim_for("held", "scout", "small")).await;
        assert_eq!(other, never("REQUEST_ID_CONFLICT"));
        let same = gateway.told(claim_for("held", "scout", "large")).await;
        assert_eq!(same, Told::Queued);
    }
    sleep(OPEN_FOR).await;
    let scout = claim_for("over", "scout", "large");
    phase(suite, scout, never("CAMPAIGN_CLOSED")).await?;
    one_rule(suite, "over", &code, "closed").await
}

/// How many calls of a method issuance has answered.
async fn calls(suite: &Suite, method: &str) -> Result<f64> {
    let mut all = 0.0;
    for replica in ISSUANCES {
        let name = "grpc_server_handled_total";
        all += suite.metric(replica, name, method).await?;
    }
    Ok(all)
}

/// Waits until it is sold out, and so many streams of holders were asked for in all.
async fn streams_when_sold_out(suite: &Suite, streams: f64) -> Result<()> {
    becomes(true, async || Ok(suite.staff.read("tea").await?.sold_out)).await?;
    becomes(streams, async || calls(suite, "StreamShoppers").await).await
}

/// Everybody of a crowd hears that it is over, and issuance hears of hardly any.
async fn crowd_is_answered_at_the_door(suite: &Suite, name: &str) -> Result<()> {
    let asked = async || {
        anyhow::Ok(calls(suite, "LookupClaims").await? + calls(suite, "IssueCoupons").await?)
    };
    let before: f64 = asked().await?;
    for number in 0..100 {
        let claim = claim_of("tea", &format!("{name}-{number}"), "r-1");
        refused(suite.gateways[number % 2].ask(claim).await).because("BUDGET_EXHAUSTED");
    }
    let more = asked().await? - before;
    assert!(more < 20.0, "{name}: {more} were asked of issuance");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_streamed_anew_after_coupons_were_issued() -> Result<()> {
    let suite = Suite::start().await?;
    suite.open("tea", 2).await?;
    for shopper in ["ann", "bob"] {
        suite.coupon("tea", shopper).await?;
    }
    streams_when_sold_out(&suite, 2.0).await?;
    crowd_is_answered_at_the_door(&suite, "first").await?;

    suite.staff.add_budget("tea", "tea", "more", 1).await?;
    let issued = soon(|| suite.claim("tea", "cem", "r-1")).await?;
    streams_when_sold_out(&suite, 4.0).await?;
    for gateway in &suite.gateways {
        let again = gateway.claim("tea", "cem", "r-1").await?;
        assert_eq!(again.coupon, issued.coupon);
    }
    crowd_is_answered_at_the_door(&suite, "last").await?;
    suite.end().await
}
