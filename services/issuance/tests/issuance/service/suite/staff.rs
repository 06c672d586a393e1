//! What staff ask for, and what they hear.

use futures_util::stream;
use tidegate_proto::{
    issuance::v1::{
        coupon_admin_service_client::CouponAdminServiceClient, grant_result::Outcome, *,
    },
    r#type::v1::Refusal,
};
use tidegate_test_kit::heard;
use tidegate_types::Reason;
use tonic::{Request, transport::Channel};

use super::{Issuance, Suite};

const SCOPES: &str = "coupons:read coupons:write changes:read";

/// A colleague whose token has every scope.
pub struct Staff<'a> {
    suite: &'a Suite,
    admin: CouponAdminServiceClient<Channel>,
    bound_to: Option<&'a str>,
}

impl Suite {
    pub fn staff<'a>(&'a self, issuance: &Issuance) -> Staff<'a> {
        Staff {
            suite: self,
            admin: issuance.coupon_admin(),
            bound_to: None,
        }
    }

    /// The same with a token that is bound to a shopper.
    pub fn staff_of<'a>(&'a self, shopper_id: &'a str, issuance: &Issuance) -> Staff<'a> {
        Staff {
            bound_to: Some(shopper_id),
            ..self.staff(issuance)
        }
    }
}

impl Staff<'_> {
    pub fn request<T>(&self, message: T) -> Request<T> {
        let credentials = &self.suite.credentials;
        credentials.with_token(message, SCOPES, self.bound_to)
    }

    pub async fn revoke(
        &self,
        shopper_id: &str,
        coupon_code: &str,
        reason: &str,
    ) -> Result<RevokeCouponResponse, Reason> {
        let request = self.request(RevokeCouponRequest {
            shopper_id: shopper_id.to_owned(),
            coupon_code: coupon_code.to_owned(),
            reason: reason.to_owned(),
        });
        heard(self.admin.clone().revoke_coupon(request).await)
    }

    /// Grants coupons of a tier, any if it is empty, and tells what became of each.
    pub async fn grant(
        &self,
        shoppers: &[&str],
        request_id: &str,
        tier_id: &str,
    ) -> Vec<Result<GrantedCoupon, Box<Refusal>>> {
        let grants = shoppers.iter().map(|shopper_id| Grant {
            shopper_id: shopper_id.to_string(),
            request_id: request_id.to_owned(),
            tier_id: tier_id.to_owned(),
        });
        let part = GrantCouponsRequest {
            campaign_id: "spring".to_owned(),
            reason: "an apology".to_owned(),
            grants: grants.collect(),
        };
        let request = self.request(stream::iter([part]));
        let answers = self.admin.clone().grant_coupons(request).await.unwrap();
        granted(answers.into_inner().message().await.unwrap().unwrap())
    }

    pub async fn find(&self, request: FindCouponsRequest) -> Result<FindCouponsResponse, Reason> {
        heard(self.admin.clone().find_coupons(self.request(request)).await)
    }

    pub async fn changes(
        &self,
        request: ListChangesRequest,
    ) -> Result<ListChangesResponse, Reason> {
        heard(self.admin.clone().list_changes(self.request(request)).await)
    }
}

pub fn granted(answer: GrantCouponsResponse) -> Vec<Result<GrantedCoupon, Box<Refusal>>> {
    let outcomes = answer.results.into_iter();
    let outcomes = outcomes.map(|result| match result.outcome.unwrap() {
        Outcome::Granted(granted) => Ok(granted),
        Outcome::Refused(refusal) => Err(Box::new(refusal)),
    });
    outcomes.collect()
}
