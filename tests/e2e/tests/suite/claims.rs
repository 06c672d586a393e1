//! What a chatbot is told about claims.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_e2e::{CampaignTerms, QUEUED, Suite, claim_of, eventually, refused};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, GetClaimRequest, claim_service_client::ClaimServiceClient,
        get_claim_response,
    },
    quota::v1::GetCampaignRequest,
};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_claim_returns_the_first_coupon_over_either_gateway() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff()?.open(CampaignTerms::open("tea", 100)).await?;
    let first = suite.claim("tea", "alice", "r-1").await?;
    let again = suite
        .claim_at("gateway-1", claim_of("tea", "alice", "r-1"))
        .await?;
    assert!(!first.replayed && again.get_ref().replayed);
    let code = |issued: &tidegate_proto::gateway::v1::IssuedClaim| {
        issued.coupon.as_ref().map(|coupon| coupon.code.clone())
    };
    assert_eq!(code(&first), code(again.get_ref()));
    assert!(again.metadata().get("tidegate-trace-id").is_some());

    let lookup = GetClaimRequest {
        campaign_id: "tea".into(),
        shopper_id: "alice".into(),
        request_id: "r-1".into(),
    };
    let found = ClaimServiceClient::new(suite.door("gateway-1")?)
        .get_claim(suite.request(lookup))
        .await?
        .into_inner();
    let Some(get_claim_response::Outcome::Issued(found)) = found.outcome else {
        panic!("no coupon")
    };
    assert_eq!(code(&found), code(&first));
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_claims_are_told_the_reason_and_whether_to_come_back() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    let two_tiers = CampaignTerms {
        tiers: vec![("large", 10), ("small", 10)],
        ..CampaignTerms::open("tea", 0)
    };
    staff.open(two_tiers).await?;
    let hour = Duration::from_secs(3_600);
    staff
        .open(CampaignTerms {
            opens_in: hour,
            ..CampaignTerms::open("later", 10)
        })
        .await?;
    staff
        .open(CampaignTerms {
            open_for: Duration::from_secs(1),
            ..CampaignTerms::open("over", 10)
        })
        .await?;
    let earlier = suite.claim("over", "alice", "r-1").await?;
    suite.claim("tea", "alice", "r-1").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let told = |outcome: Result<_, tonic::Status>| outcome.map_err(|status| refused(&status)).err();
    let unknown = told(suite.claim("nothing", "alice", "r-1").await).unwrap();
    assert_eq!(
        (unknown.code, unknown.reason.as_str(), unknown.retry_after),
        (Code::NotFound, "CAMPAIGN_NOT_FOUND", None)
    );
    assert_eq!(unknown.pushback.as_deref(), Some("-1"));
    assert_eq!(unknown.locales, ["zh-CN", "en"]);

    let early = told(suite.claim("later", "alice", "r-1").await).unwrap();
    assert_eq!(
        (early.code, early.reason.as_str()),
        (Code::FailedPrecondition, "CAMPAIGN_NOT_OPEN")
    );
    assert!(
        early
            .retry_after
            .is_some_and(|delay| delay > hour / 2 && delay <= hour),
        "{early:?}"
    );

    let late = told(suite.claim("over", "bob", "r-1").await).unwrap();
    assert_eq!(
        (late.code, late.reason.as_str()),
        (Code::FailedPrecondition, "CAMPAIGN_CLOSED")
    );
    let replayed = suite.claim("over", "alice", "r-1").await?;
    assert_eq!(
        replayed.coupon.map(|coupon| coupon.code),
        earlier.coupon.map(|coupon| coupon.code),
        "a claim repeated after the end gets its coupon"
    );

    let second = told(suite.claim("tea", "alice", "r-2").await).unwrap();
    assert_eq!(
        (second.code, second.reason.as_str()),
        (Code::FailedPrecondition, "SHOPPER_LIMIT_REACHED")
    );

    let other_content = ClaimCouponRequest {
        tier_id: "small".into(),
        ..claim_of("tea", "alice", "r-1")
    };
    let conflict = suite
        .claim_at("gateway-0", other_content)
        .await
        .map_err(|status| refused(&status))
        .err()
        .unwrap();
    assert_eq!(
        (conflict.code, conflict.reason.as_str()),
        (Code::AlreadyExists, "REQUEST_ID_CONFLICT")
    );
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_and_nothing_is_issued() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff()?.open(CampaignTerms::open("tea", 10)).await?;
    let hostile = [
        "",
        "a b",
        "a\u{0}b",
        "\u{202e}evil",
        "奶茶",
        &"x".repeat(200),
    ];
    for text in hostile {
        let message = ClaimCouponRequest {
            campaign_id: text.into(),
            shopper_id: text.into(),
            request_id: text.into(),
            tier_id: "tea".into(),
            ticket: String::new(),
        };
        let bad = suite
            .claim_at("gateway-0", message)
            .await
            .map_err(|status| refused(&status))
            .err()
            .unwrap();
        assert_eq!(
            (bad.code, bad.reason.as_str()),
            (Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(
            bad.fields,
            ["campaign_id", "shopper_id", "request_id"],
            "{text:?}"
        );
    }
    let no_such_tier = ClaimCouponRequest {
        tier_id: "giant".into(),
        ..claim_of("tea", "alice", "r-1")
    };
    let bad = suite
        .claim_at("gateway-0", no_such_tier)
        .await
        .map_err(|status| refused(&status))
        .err()
        .unwrap();
    assert_eq!(bad.fields, ["tier_id"]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_demand_exceeds_stock_every_coupon_is_issued_and_the_sell_out_is_final() -> Result<()>
{
    const STOCK: u64 = 300;
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", STOCK)).await?;
    let first = suite.coupon("tea", "shopper-0").await?;
    let shoppers = (1..2 * STOCK).map(|number| {
        let suite = &suite;
        async move {
            let shopper = format!("shopper-{number}");
            eventually(Duration::from_secs(30), || async {
                match suite.claim("tea", &shopper, "the-claim").await {
                    Ok(_) => Ok(true),
                    Err(status) if status.code() == Code::Unavailable => Err("not now"),
                    Err(status) if status.message() == QUEUED => Err("queued"),
                    Err(status) => {
                        Ok(refused(&status).reason != "BUDGET_EXHAUSTED" && panic!("{status}"))
                    }
                }
            })
            .await
        }
    });
    let served = join_all(shoppers)
        .await
        .into_iter()
        .filter(|served| *served == Ok(true))
        .count() as u64;
    assert_eq!(
        served,
        STOCK - 1,
        "the first shopper has one, the others compete for the rest"
    );

    let status = suite.claim("tea", "latecomer", "r-1").await.err().unwrap();
    let told = refused(&status);
    assert_eq!(
        (told.code, told.reason.as_str(), told.retry_after),
        (Code::ResourceExhausted, "BUDGET_EXHAUSTED", None)
    );
    let replayed = suite
        .wallet()?
        .get_coupon(
            suite.request(tidegate_proto::gateway::v1::GetCouponRequest {
                shopper_id: "shopper-0".into(),
                coupon_code: first,
            }),
        )
        .await;
    assert!(
        replayed.is_ok(),
        "a coupon issued before the sell-out still stands"
    );
    let campaign = staff
        .campaigns()
        .get_campaign(staff.request(GetCampaignRequest {
            campaign_id: "tea".into(),
        }))
        .await?
        .into_inner()
        .campaign
        .unwrap();
    assert!(campaign.sold_out);
    assert_eq!(
        campaign
            .stock
            .iter()
            .map(|tier| (tier.free, tier.leased, tier.settled))
            .collect::<Vec<_>>(),
        [(0, 0, STOCK)]
    );
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_per_commit_grow_with_the_load() -> Result<()> {
    let suite = Suite::start_with(|options| {
        options.issuance_replicas = 1;
        options.lanes = 1;
    })
    .await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 100_000))
        .await?;
    let door = suite.door("gateway-0")?;
    let mut means = Vec::new();
    for (round, concurrent) in [1usize, 64, 1_000].into_iter().enumerate() {
        let before = batches(&suite).await?;
        let claim = |number: usize| {
            let (suite, door) = (&suite, &door);
            async move {
                let message = claim_of("tea", &format!("shopper-{round}-{number}"), "r-1");
                eventually(Duration::from_secs(30), || {
                    suite.claim_over(door.clone(), message.clone())
                })
                .await
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
    let rows = suite
        .metric("issuance-0", "tidegate_commit_batch_size_sum", "")
        .await?;
    Ok((
        rows,
        suite
            .metric("issuance-0", "tidegate_commit_batch_size_count", "")
            .await?,
    ))
}
