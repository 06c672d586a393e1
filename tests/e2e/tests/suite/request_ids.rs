//! A request id belongs to one claim, for what it asked for first, whatever its campaign has become.

use std::time::Duration;

use anyhow::{Result, bail};
use tidegate_e2e::{CampaignTerms, StaffDesk, Suite, claim_of, eventually, refused};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, GetClaimRequest, claim_coupon_response,
        claim_service_client::ClaimServiceClient,
    },
    r#type::v1::{IssuanceControl, RedemptionControl},
};

const SOON: Duration = Duration::from_secs(20);
const OPEN_FOR: Duration = Duration::from_secs(4);
const GATEWAYS: [&str; 2] = ["gateway-0", "gateway-1"];

fn claim_for(campaign: &str, shopper: &str, tier: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        tier_id: tier.into(),
        ..claim_of(campaign, shopper, "r-1")
    }
}

/// What a claim is told: the code of its coupon, `queued`, or the reason of its refusal.
async fn told(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) -> Result<String> {
    let mut claims = ClaimServiceClient::new(suite.door(gateway)?);
    let answer = claims.claim_coupon(suite.request(claim)).await;
    Ok(match answer.map(|answer| answer.into_inner().outcome) {
        Ok(Some(claim_coupon_response::Outcome::Issued(issued))) => {
            issued.coupon.unwrap_or_default().code
        }
        Ok(_) => "queued".to_owned(),
        Err(status) => refused(&status).reason,
    })
}

/// Waits until both gateways tell somebody new this, so that they are in the phase that is tried.
async fn phase(suite: &Suite, campaign: &str, tier: &str, expected: &str) -> Result<()> {
    for gateway in GATEWAYS {
        eventually(SOON, || async {
            let told = told(suite, gateway, claim_for(campaign, "scout", tier)).await?;
            if told == expected {
                Ok(())
            } else {
                bail!("{gateway} says {told} and not {expected}")
            }
        })
        .await?;
    }
    Ok(())
}

/// Ann's claim for a large tea is hers in this phase as well, and no other claim is.
async fn one_rule(suite: &Suite, campaign: &str, code: &str, phase: &str) -> Result<()> {
    for gateway in GATEWAYS {
        let told = async |tier| told(suite, gateway, claim_for(campaign, "ann", tier)).await;
        assert_eq!(told("large").await?, code, "{phase} at {gateway}");
        for other in ["small", ""] {
            let conflict = "REQUEST_ID_CONFLICT";
            assert_eq!(
                told(other).await?,
                conflict,
                "{phase} at {gateway}: {other:?}"
            );
        }
        let message = GetClaimRequest {
            campaign_id: campaign.into(),
            shopper_id: "ann".into(),
            request_id: "r-1".into(),
        };
        let mut claims = ClaimServiceClient::new(suite.door(gateway)?);
        claims.get_claim(suite.request(message)).await?;
    }
    Ok(())
}

async fn set(staff: &StaffDesk, issuance: IssuanceControl) -> Result<()> {
    staff
        .control("tea", issuance, RedemptionControl::Open)
        .await?;
    Ok(())
}

async fn ann_claims(suite: &Suite, campaign: &str) -> Result<String> {
    let claim = || told(suite, "gateway-0", claim_for(campaign, "ann", "large"));
    eventually(SOON, || async {
        let code = claim().await?;
        if code.len() == 16 {
            Ok(code)
        } else {
            bail!("{code}")
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_for_another_tier_is_a_conflict_in_every_phase() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff
        .open(CampaignTerms {
            tiers: vec![("large", 2), ("small", 1)],
            ..CampaignTerms::open("tea", 0)
        })
        .await?;
    let code = ann_claims(&suite, "tea").await?;
    one_rule(&suite, "tea", &code, "open").await?;
    set(&staff, IssuanceControl::QueueOnly).await?;
    phase(&suite, "tea", "small", "queued").await?;
    one_rule(&suite, "tea", &code, "held").await?;
    set(&staff, IssuanceControl::Halted).await?;
    phase(&suite, "tea", "small", "ISSUANCE_HALTED").await?;
    one_rule(&suite, "tea", &code, "halted").await?;
    set(&staff, IssuanceControl::Open).await?;
    // The scout's claim is served now, and takes the last small one.
    let mine = eventually(SOON, || async {
        let told = told(&suite, "gateway-0", claim_for("tea", "scout", "small")).await?;
        if told.len() == 16 {
            Ok(told)
        } else {
            bail!("{told}")
        }
    });
    mine.await?;
    eventually(SOON, || async {
        for gateway in GATEWAYS {
            let late = told(&suite, gateway, claim_for("tea", "late", "small")).await?;
            if late != "BUDGET_EXHAUSTED" {
                bail!("{late}");
            }
        }
        Ok(())
    })
    .await?;
    one_rule(&suite, "tea", &code, "tier gone").await?;
    eventually(SOON, || async {
        let last = told(&suite, "gateway-0", claim_for("tea", "bob", "large")).await?;
        if last.len() == 16 {
            Ok(())
        } else {
            bail!("{last}")
        }
    })
    .await?;
    eventually(SOON, || async {
        if staff.read("tea").await?.sold_out {
            Ok(())
        } else {
            bail!("it is not sold out")
        }
    })
    .await?;
    // A gateway hears of it within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    one_rule(&suite, "tea", &code, "sold out").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_for_another_tier_is_a_conflict_after_the_end_and_while_it_waits()
-> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    let tiers = vec![("large", 10), ("small", 10)];
    staff
        .open(CampaignTerms {
            tiers: tiers.clone(),
            open_for: OPEN_FOR,
            ..CampaignTerms::open("over", 0)
        })
        .await?;
    let code = ann_claims(&suite, "over").await?;
    staff
        .open(CampaignTerms {
            tiers,
            ..CampaignTerms::open("tea", 0)
        })
        .await?;
    set(&staff, IssuanceControl::QueueOnly).await?;
    phase(&suite, "tea", "large", "queued").await?;
    for gateway in GATEWAYS {
        let other = told(&suite, gateway, claim_for("tea", "scout", "small")).await?;
        assert_eq!(other, "REQUEST_ID_CONFLICT", "{gateway}");
        let same = told(&suite, gateway, claim_for("tea", "scout", "large")).await?;
        assert_eq!(same, "queued", "{gateway}");
    }
    tokio::time::sleep(OPEN_FOR).await;
    phase(&suite, "over", "large", "CAMPAIGN_CLOSED").await?;
    one_rule(&suite, "over", &code, "closed").await?;
    suite.end().await
}
