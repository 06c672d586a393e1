use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, IssuedClaim,
    claim_coupon_response, claim_service_server::ClaimService, get_claim_response,
};
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{check_shopper, convert, open, status::to_status};
use crate::{claims::Claims, error::GatewayError, metrics::GatewayMetrics};

const SERVICE: &str = "ClaimService";

/// Serves `ClaimService`.
pub struct ClaimGrpc {
    /// The claims.
    pub claims: Claims,
    /// Where refusals are counted.
    pub metrics: GatewayMetrics,
}

impl ClaimGrpc {
    async fn claim(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<ClaimCouponResponse, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::claim(message)?;
        check_shopper(&call, &claim.shopper)?;
        let issued = self
            .claims
            .claim(claim, &call, Timestamp::now_utc())
            .await?;
        let outcome = claim_coupon_response::Outcome::Issued(IssuedClaim {
            coupon: issued.coupon,
            replayed: issued.replayed,
        });
        Ok(ClaimCouponResponse {
            outcome: Some(outcome),
            trace_id: call.trace.trace_id(),
        })
    }

    async fn lookup(
        &self,
        request: Request<GetClaimRequest>,
    ) -> Result<GetClaimResponse, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::earlier_claim(message)?;
        check_shopper(&call, &claim.shopper)?;
        let coupon = self.claims.lookup(claim, &call).await?;
        let outcome = get_claim_response::Outcome::Issued(IssuedClaim {
            coupon: Some(coupon),
            replayed: true,
        });
        Ok(GetClaimResponse {
            outcome: Some(outcome),
            trace_id: call.trace.trace_id(),
        })
    }
}

#[tonic::async_trait]
impl ClaimService for ClaimGrpc {
    async fn claim_coupon(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<Response<ClaimCouponResponse>, Status> {
        self.claim(request)
            .await
            .map(Response::new)
            .map_err(|error| to_status(error, SERVICE, &self.metrics))
    }

    async fn get_claim(
        &self,
        request: Request<GetClaimRequest>,
    ) -> Result<Response<GetClaimResponse>, Status> {
        self.lookup(request)
            .await
            .map(Response::new)
            .map_err(|error| to_status(error, SERVICE, &self.metrics))
    }
}
