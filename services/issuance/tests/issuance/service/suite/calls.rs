//! What gateways and order-intake call.

use std::time::Duration;

use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{issue_result, redeem_result, release_result, *},
    r#type::v1::{Coupon, Reason, Refusal},
};
use tidegate_test_kit::{eventually, traceparent};
use tidegate_types::{Lanes, ShopperId};
use tonic::Request;
use uuid::Uuid;

use super::{Issuance, LANES, quota::CAMPAIGN};

impl Issuance {
    pub async fn claim(&self, shopper_id: &str) -> Result<IssuedCoupon, Refusal> {
        self.claim_as(shopper_id, "r-1", 0).await
    }

    /// The same by a name of the claim, at a gateway that has seen this revision of the campaign.
    pub async fn claim_as(
        &self,
        shopper_id: &str,
        request_id: &str,
        campaign_revision: u64,
    ) -> Result<IssuedCoupon, Refusal> {
        self.claim_item(IssueItem {
            request_id: request_id.to_owned(),
            campaign_revision,
            ..claim_of(shopper_id)
        })
        .await
    }

    /// Claims a coupon of the first tier, and tells which tier it is of.
    pub async fn claim_first_tier(&self, shopper: &str, revision: u64) -> Result<String, Reason> {
        let item = IssueItem {
            tier_number: Some(0),
            campaign_revision: revision,
            ..claim_of(shopper)
        };
        let issued = self.claim_item(item).await;
        let issued = issued.map_err(|refusal| refusal.reason())?;
        Ok(issued.coupon.unwrap().tier_id)
    }

    async fn claim_item(&self, item: IssueItem) -> Result<IssuedCoupon, Refusal> {
        let result = self.issue(vec![item]).await.results.remove(0);
        match result.outcome.unwrap() {
            issue_result::Outcome::Issued(issued) => Ok(issued),
            issue_result::Outcome::Refused(refusal) => Err(refusal),
        }
    }

    /// The whole answer to claims of one lane.
    pub async fn issue(&self, items: Vec<IssueItem>) -> IssueCouponsResponse {
        let mut request = Request::new(IssueCouponsRequest {
            lane: lane_of(&items[0].shopper_id),
            lanes: LANES.into(),
            items,
        });
        request.set_timeout(Duration::from_secs(8));
        let mut client = self.issuance(Identity::Gateway);
        client.issue_coupons(request).await.unwrap().into_inner()
    }

    /// Claims for new shoppers until one is refused for this reason.
    pub async fn refuses_for(&self, reason: Reason) -> Refusal {
        eventually("a refusal", async || {
            let refusal = self.claim(&Uuid::new_v4().to_string()).await.err()?;
            (refusal.reason() == reason).then_some(refusal)
        })
        .await
    }

    pub async fn refusal(&self, shopper_id: &str, request_id: &str, revision: u64) -> Reason {
        let refused = self.claim_as(shopper_id, request_id, revision).await;
        refused.unwrap_err().reason()
    }

    pub async fn claim_in_the_end(&self, shopper_id: &str) -> IssuedCoupon {
        let claiming = async || self.claim(shopper_id).await.ok();
        eventually("a coupon", claiming).await
    }

    /// The code of a coupon that is claimed in the end.
    pub async fn code(&self, shopper_id: &str) -> String {
        let issued = self.claim_in_the_end(shopper_id).await;
        issued.coupon.unwrap().code
    }

    pub async fn redeem(&self, shopper: &str, code: &str, order: &str) -> Result<Coupon, Refusal> {
        let item = RedeemItem {
            shopper_id: shopper.to_owned(),
            coupon_code: code.to_owned(),
            order_id: order.to_owned(),
            ..RedeemItem::default()
        };
        match self.redeem_item(item).await.outcome.unwrap() {
            redeem_result::Outcome::Redeemed(coupon) => Ok(coupon),
            redeem_result::Outcome::Refused(refusal) => Err(refusal),
        }
    }

    /// The same with all that is told of the order.
    pub async fn redeem_item(&self, item: RedeemItem) -> RedeemResult {
        let request = RedeemCouponsRequest {
            lane: lane_of(&item.shopper_id),
            lanes: LANES.into(),
            items: vec![RedeemItem {
                traceparent: traceparent(),
                deadline_ms: 1_900,
                ..item
            }],
        };
        let mut client = self.issuance(Identity::OrderIntake);
        let answer = client.redeem_coupons(request).await.unwrap().into_inner();
        answer.results.into_iter().next().unwrap()
    }

    /// Gives a coupon back; true if the order held it.
    pub async fn release(&self, shopper_id: &str, coupon_code: &str, order_id: &str) -> bool {
        let item = ReleaseItem {
            shopper_id: shopper_id.to_owned(),
            coupon_code: coupon_code.to_owned(),
            order_id: order_id.to_owned(),
            traceparent: traceparent(),
            deadline_ms: 1_900,
            ..ReleaseItem::default()
        };
        let request = ReleaseCouponsRequest {
            lane: lane_of(shopper_id),
            lanes: LANES.into(),
            items: vec![item],
        };
        let mut client = self.issuance(Identity::OrderIntake);
        let answer = client.release_coupons(request).await.unwrap().into_inner();
        match answer.results[0].outcome.clone().unwrap() {
            release_result::Outcome::Released(released) => released.changed,
            release_result::Outcome::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    pub async fn check(&self, shopper_id: &str, coupon_code: &str) -> CheckCouponResponse {
        let request = CheckCouponRequest {
            shopper_id: shopper_id.to_owned(),
            coupon_code: coupon_code.to_owned(),
        };
        let mut client = self.issuance(Identity::OrderIntake);
        client.check_coupon(request).await.unwrap().into_inner()
    }

    /// The same once the coupon cannot be used.
    pub async fn check_when_unusable(&self, shopper: &str, code: &str) -> CheckCouponResponse {
        eventually("it cannot be used", async || {
            let checked = self.check(shopper, code).await;
            (!checked.usable).then_some(checked)
        })
        .await
    }
}

/// A claim of any tier, by a caller who does not say what it has seen.
pub fn claim_of(shopper_id: &str) -> IssueItem {
    IssueItem {
        campaign_number: CAMPAIGN,
        shopper_id: shopper_id.to_owned(),
        request_id: "r-1".to_owned(),
        traceparent: traceparent(),
        deadline_ms: 1_900,
        ..IssueItem::default()
    }
}

/// The lane of a shopper; what is no shopper's id is refused in any.
pub fn lane_of(shopper_id: &str) -> u32 {
    let shopper = ShopperId::parse(shopper_id);
    shopper.map_or(0, |shopper| {
        Lanes::new(LANES).unwrap().of(&shopper).get().into()
    })
}
