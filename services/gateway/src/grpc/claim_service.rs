use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, ClaimCouponResponse, GetClaimRequest, GetClaimResponse, IssuedClaim,
    LeaveQueueRequest, LeaveQueueResponse, WatchClaimRequest, WatchClaimResponse,
    claim_coupon_response, claim_service_server::ClaimService, get_claim_response,
    watch_claim_response,
};
use tidegate_telemetry::TraceContext;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    check_shopper, convert, open,
    status::{answered, to_status},
};
use crate::{
    claims::{Claims, Outcome},
    concurrency_limits::{ConcurrencyLimit, ShopperStreams},
    error::GatewayError,
    metrics::GatewayMetrics,
    rate_limits::ShopperLimits,
};

const SERVICE: &str = "ClaimService";

pub struct ClaimGrpc {
    pub claims: Claims,
    pub watch_limit: ConcurrencyLimit,
    /// Streams that one shopper has open at once.
    pub shopper_streams: ShopperStreams,
    pub stop: CancellationToken,
    pub shopper_limits: Arc<ShopperLimits>,
    pub metrics: GatewayMetrics,
}

type Watching = Pin<Box<dyn Stream<Item = Result<WatchClaimResponse, Status>> + Send>>;

impl ClaimGrpc {
    async fn claim(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<ClaimCouponResponse, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::claim(message)?;
        check_shopper(&call, &claim.shopper, &self.shopper_limits)?;
        let outcome = match self.claims.claim(&claim, &call).await? {
            Outcome::Issued(issued) => {
                claim_coupon_response::Outcome::Issued(convert::issued_claim(issued))
            }
            Outcome::Queued(position) => {
                claim_coupon_response::Outcome::Queued(convert::queued_claim(position))
            }
        };
        Ok(ClaimCouponResponse {
            outcome: Some(outcome),
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn lookup(
        &self,
        request: Request<GetClaimRequest>,
    ) -> Result<GetClaimResponse, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::earlier_claim(message)?;
        check_shopper(&call, &claim.shopper, &self.shopper_limits)?;
        let coupon = self.claims.lookup(&claim, &call).await?;
        let outcome = get_claim_response::Outcome::Issued(IssuedClaim {
            coupon: Some(coupon),
            replayed: true,
        });
        Ok(GetClaimResponse {
            outcome: Some(outcome),
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn watch(&self, request: Request<WatchClaimRequest>) -> Result<Watching, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::watched_claim(message)?;
        check_shopper(&call, &claim.shopper, &self.shopper_limits)?;
        let of_shopper = self.shopper_streams.acquire(&claim.shopper)?;
        let permits = (self.watch_limit.acquire(&call)?, of_shopper);
        let trace_id = TraceContext::current().trace_id();
        let outcomes = self
            .claims
            .watch(claim, call, permits, self.stop.clone())
            .await?;
        let metrics = self.metrics.clone();
        Ok(Box::pin(ReceiverStream::new(outcomes).map(
            move |outcome| {
                let outcome = outcome.map_err(|error| to_status(error, SERVICE, &metrics))?;
                Ok(WatchClaimResponse {
                    outcome: Some(match outcome {
                        Outcome::Issued(issued) => {
                            watch_claim_response::Outcome::Issued(convert::issued_claim(issued))
                        }
                        Outcome::Queued(position) => {
                            watch_claim_response::Outcome::Queued(convert::queued_claim(position))
                        }
                    }),
                    trace_id: trace_id.clone(),
                })
            },
        )))
    }

    async fn leave(
        &self,
        request: Request<LeaveQueueRequest>,
    ) -> Result<LeaveQueueResponse, GatewayError> {
        let (call, message) = open(request)?;
        let claim = convert::claim_that_leaves(message)?;
        check_shopper(&call, &claim.shopper, &self.shopper_limits)?;
        self.claims.leave(&claim, &call).await?;
        Ok(LeaveQueueResponse {
            trace_id: TraceContext::current().trace_id(),
        })
    }
}

#[tonic::async_trait]
impl ClaimService for ClaimGrpc {
    type WatchClaimStream = Watching;

    async fn claim_coupon(
        &self,
        request: Request<ClaimCouponRequest>,
    ) -> Result<Response<ClaimCouponResponse>, Status> {
        answered(self.claim(request).await, SERVICE, &self.metrics)
    }

    async fn get_claim(
        &self,
        request: Request<GetClaimRequest>,
    ) -> Result<Response<GetClaimResponse>, Status> {
        answered(self.lookup(request).await, SERVICE, &self.metrics)
    }

    async fn watch_claim(
        &self,
        request: Request<WatchClaimRequest>,
    ) -> Result<Response<Watching>, Status> {
        answered(self.watch(request).await, SERVICE, &self.metrics)
    }

    async fn leave_queue(
        &self,
        request: Request<LeaveQueueRequest>,
    ) -> Result<Response<LeaveQueueResponse>, Status> {
        answered(self.leave(request).await, SERVICE, &self.metrics)
    }
}
