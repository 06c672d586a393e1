//! What a chatbot is told about claims.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tidegate_client::{CampaignTerms, QUEUED, Refusal, claim_of, eventually, refused};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::gateway::v1::{ClaimCouponRequest, IssuedClaim, get_claim_response};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_yields_its_coupon_for_ever_and_every_refusal_tells_why() -> Result<()> {
    let suite = Suite::start().await?;
    hold!(&suite;
        a_replayed_claim_returns_the_first_coupon_over_either_gateway,
        refused_claims_are_told_the_reason_and_whether_to_come_back,
        every_bad_field_is_named_and_nothing_is_issued,
        when_demand_exceeds_stock_every_coupon_is_issued_and_the_sell_out_is_final,
    )?;
    suite.end().await
}

async fn a_replayed_claim_returns_the_first_coupon_over_either_gateway(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("again", 100)).await?;
    let first = suite.claim("again", "alice", "r-1").await?;
    let second = suite.at("gateway-1")?;
    let again = second.claim("again", "alice", "r-1").await?;
    assert!(!first.replayed && again.replayed);
    let code = |issued: &IssuedClaim| issued.coupon.as_ref().map(|coupon| coupon.code.clone());
    assert_eq!(code(&first), code(&again));

    let found = second.look_up("again", "alice", "r-1").await?.outcome;
    let Some(get_claim_response::Outcome::Issued(found)) = found else {
        panic!("no coupon")
    };
    assert_eq!(code(&found), code(&first));
    Ok(())
}

async fn refused_claims_are_told_the_reason_and_whether_to_come_back(suite: &Suite) -> Result<()> {
    let staff = suite.staff()?;
    let two_tiers = CampaignTerms {
        tiers: vec![("large", 10), ("small", 10)],
        ..CampaignTerms::open("tea", 0)
    };
    let later = CampaignTerms {
        opens_at: SystemTime::now() + HOUR,
        ..CampaignTerms::open("later", 10)
    };
    let over = CampaignTerms {
        open_for: Duration::from_secs(1),
        ..CampaignTerms::open("over", 10)
    };
    for terms in [two_tiers, later, over] {
        staff.open(terms).await?;
    }
    let earlier = suite.claim("over", "alice", "r-1").await?;
    suite.claim("tea", "alice", "r-1").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let other_content = ClaimCouponRequest {
        tier_id: "small".into(),
        ..claim_of("tea", "alice", "r-1")
    };
    let not_met = Code::FailedPrecondition;
    for (claim, code, reason, comes_back) in [
        (
            claim_of("nothing", "alice", "r-1"),
            Code::NotFound,
            "CAMPAIGN_NOT_FOUND",
            None,
        ),
        (
            claim_of("later", "alice", "r-1"),
            not_met,
            "CAMPAIGN_NOT_OPEN",
            Some(HOUR),
        ),
        (
            claim_of("over", "bob", "r-1"),
            not_met,
            "CAMPAIGN_CLOSED",
            None,
        ),
        (
            claim_of("tea", "alice", "r-2"),
            not_met,
            "SHOPPER_LIMIT_REACHED",
            None,
        ),
        (
            other_content,
            Code::AlreadyExists,
            "REQUEST_ID_CONFLICT",
            None,
        ),
    ] {
        let told = refused(&suite.issue(claim).await.unwrap_err());
        assert_eq!((told.code, &*told.reason), (code, reason));
        assert_eq!(told.locales, ["zh-CN", "en"], "{reason}");
        tells_when_to_come_back(&told, comes_back);
    }
    let replayed = suite.claim("over", "alice", "r-1").await?;
    assert_eq!(
        replayed.coupon.map(|coupon| coupon.code),
        earlier.coupon.map(|coupon| coupon.code),
        "a claim repeated after the end gets its coupon"
    );
    Ok(())
}

fn tells_when_to_come_back(told: &Refusal, at_most: Option<Duration>) {
    match at_most {
        None => assert_eq!(
            (told.retry_after, told.pushback.as_deref()),
            (None, Some("-1"))
        ),
        Some(most) => assert!(
            told.retry_after
                .is_some_and(|delay| delay > most / 2 && delay <= most),
            "{told:?}"
        ),
    }
}

async fn every_bad_field_is_named_and_nothing_is_issued(suite: &Suite) -> Result<()> {
    suite
        .staff()?
        .open(CampaignTerms::open("fields", 10))
        .await?;
    let long = "x".repeat(200);
    let of = |text: &str| ClaimCouponRequest {
        tier_id: "tea".into(),
        ..claim_of(text, text, text)
    };
    let hostile = ["", "a b", "a\u{0}b", "\u{202e}evil", "奶茶", &long];
    let ids = ["campaign_id", "shopper_id", "request_id"];
    let no_such_tier = ClaimCouponRequest {
        tier_id: "giant".into(),
        ..claim_of("fields", "alice", "r-1")
    };
    let cases = hostile.map(|text| (of(text), &ids[..]));
    for (claim, fields) in cases.into_iter().chain([(no_such_tier, &["tier_id"][..])]) {
        let bad = refused(&suite.issue(claim.clone()).await.unwrap_err());
        let expected = (Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!((bad.code, &*bad.reason), expected, "{claim:?}");
        assert_eq!(bad.fields, fields, "{claim:?}");
    }
    Ok(())
}

async fn when_demand_exceeds_stock_every_coupon_is_issued_and_the_sell_out_is_final(
    suite: &Suite,
) -> Result<()> {
    const STOCK: u64 = 300;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("few", STOCK)).await?;
    let first = suite.coupon("few", "shopper-0").await?;
    let shoppers = (1..2 * STOCK).map(|number| async move {
        let shopper = format!("shopper-{number}");
        eventually(Duration::from_secs(30), || async {
            match suite.claim("few", &shopper, "the-claim").await {
                Ok(_) => Ok(true),
                Err(status) if status.code() == Code::Unavailable => Err("not now"),
                Err(status) if status.message() == QUEUED => Err("queued"),
                Err(status) => {
                    assert_eq!(refused(&status).reason, "BUDGET_EXHAUSTED", "{status}");
                    Ok(false)
                }
            }
        })
        .await
    });
    let served = join_all(shoppers).await.into_iter();
    let served = served.filter(|served| *served == Ok(true)).count() as u64;
    assert_eq!(
        served,
        STOCK - 1,
        "the first shopper has one, the others compete for the rest"
    );

    let told = refused(&suite.claim("few", "latecomer", "r-1").await.unwrap_err());
    assert_eq!(
        (told.code, &*told.reason, told.retry_after),
        (Code::ResourceExhausted, "BUDGET_EXHAUSTED", None)
    );
    let stands = suite.get_coupon("shopper-0", &first).await;
    stands.context("a coupon issued before the sell-out still stands")?;
    let campaign = staff.read("few").await?;
    assert!(campaign.sold_out);
    let stock = campaign.stock.iter();
    let stock: Vec<_> = stock
        .map(|tier| (tier.free, tier.leased, tier.settled))
        .collect();
    assert_eq!(stock, [(0, 0, STOCK)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_per_commit_grow_with_the_load() -> Result<()> {
    let suite = Suite::start_with(|options| {
        options.issuance_replicas = 1;
        options.lanes = 1;
    })
    .await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 100_000)).await?;
    let mut means = Vec::new();
    for (round, concurrent) in [1usize, 64, 1_000].into_iter().enumerate() {
        let before = batches(&suite).await?;
        let claim = |number: usize| {
            let (suite, shopper) = (&suite, format!("shopper-{round}-{number}"));
            async move {
                let limit = Duration::from_secs(30);
                eventually(limit, || suite.claim("tea", &shopper, "r-1")).await
            }
        };
        if concurrent == 1 {
            for number in 0..20 {
                claim(number).await?;
            }
        } else {
            for outcome in join_all((0..concurrent).map(claim)).await {
                outcome?;
            }
        }
        let after = batches(&suite).await?;
        means.push((after.0 - before.0) / (after.1 - before.1));
    }
    assert!(
        means[0] == 1.0 && means[1] > means[0] && means[2] > means[1],
        "{means:?}"
    );
    suite.end().await
}

async fn batches(suite: &Suite) -> Result<(f64, f64)> {
    let rows = "tidegate_commit_batch_size_sum";
    let commits = "tidegate_commit_batch_size_count";
    Ok((
        suite.metric("issuance-0", rows, "").await?,
        suite.metric("issuance-0", commits, "").await?,
    ))
}
