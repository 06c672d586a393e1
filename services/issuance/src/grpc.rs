//! The gRPC face: decode, call, encode.

mod access;
pub mod convert;
mod coupon_admin;
mod lease_fence;
mod status;

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{Stream, future::join_all, stream};
use tidegate_proto::{
    issuance::v1::{
        coupon_admin_service_server::CouponAdminServiceServer,
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        lease_fence_service_server::LeaseFenceServiceServer,
        *,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::CallContext, wire};
use tidegate_telemetry::of_item;
use tidegate_types::{Lane, Lanes, Timestamp};
use tokio::task::coop::unconstrained;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    error::{IssuanceError, Result},
    replica::Replica,
};
pub use access::{RULES, limits};
use status::detached;

pub const SERVICES: &[&str] = &[
    "tidegate.issuance.v1.IssuanceService",
    "tidegate.issuance.v1.LeaseFenceService",
    "tidegate.issuance.v1.CouponAdminService",
];

/// Items of one call at most.
pub const MAX_ITEMS: usize = 1_000;

pub fn add(routes: Routes, grpc: IssuanceGrpc) -> Routes {
    macro_rules! bounded {
        ($server:expr) => {
            $server
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
    }
    routes
        .add_service(bounded!(IssuanceServiceServer::new(grpc.clone())))
        .add_service(bounded!(LeaseFenceServiceServer::new(grpc.clone())))
        .add_service(bounded!(CouponAdminServiceServer::new(grpc)))
}

/// What the gateway, order-intake, quota and staff call.
#[derive(Clone)]
pub struct IssuanceGrpc {
    pub replica: Arc<Replica>,
    /// Streams end once it is cancelled, so that they do not hold up a process that is stopping.
    pub stop: CancellationToken,
}

impl IssuanceGrpc {
    /// A call with so many items of one lane.
    fn batch(&self, call: CallContext, lane: u32, lanes: u32, items: usize) -> Result<Batch> {
        let (ours, count) = (self.replica.lanes, self.replica.lanes.get());
        let lane = ours.lane(lane).ok().filter(|_| lanes == u32::from(count));
        let lane = lane.ok_or(IssuanceError::OtherLanes { lanes: count })?;
        convert::check_item_count(items)?;
        let lanes = ours;
        Ok(Batch { call, lanes, lane })
    }
}

/// The answers to the items of a batch. Once some have spent tokio's budget for the task, the others
/// would be polled in vain again and again.
async fn of_batch<T>(answers: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    unconstrained(join_all(answers)).await
}

/// A call whose items are of one lane.
pub struct Batch {
    call: CallContext,
    lanes: Lanes,
    lane: Lane,
}

impl Batch {
    /// When an item's caller stops waiting: its own deadline, but not after the call's.
    fn deadline(&self, deadline_ms: u32) -> Instant {
        let own = Instant::now() + Duration::from_millis(deadline_ms.into());
        self.call.deadline.min(own)
    }
}

#[tonic::async_trait]
impl IssuanceService for IssuanceGrpc {
    async fn issue_coupons(
        &self,
        request: Request<IssueCouponsRequest>,
    ) -> Result<Response<IssueCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let batch = self.batch(call, message.lane, message.lanes, message.items.len())?;
        let replica = Arc::clone(&self.replica);
        let answers = detached(async move {
            let answers = message.items.into_iter().map(|item| async {
                let traceparent = item.traceparent.clone();
                match convert::claim_request(item, &batch) {
                    Ok(request) => of_item(&traceparent, replica.claim(request)).await,
                    Err(error) => (Err(error), None),
                }
            });
            of_batch(answers).await
        });
        let (outcomes, delays): (Vec<_>, Vec<_>) = answers.await?.into_iter().unzip();
        let (outcomes, now) = (outcomes.into_iter(), Timestamp::now_utc());
        let results = outcomes.map(|outcome| convert::issue_result(outcome, now));
        Ok(Response::new(IssueCouponsResponse {
            results: results.collect(),
            queue_delay: delays.into_iter().flatten().max().map(wire::duration),
        }))
    }

    async fn lookup_claims(
        &self,
        request: Request<LookupClaimsRequest>,
    ) -> Result<Response<LookupClaimsResponse>, Status> {
        let (call, message) = open(request)?;
        convert::check_item_count(message.items.len())?;
        let mut results = Vec::with_capacity(message.items.len());
        for item in message.items {
            let earlier = convert::lookup(item)?;
            let found = self.replica.of_claim(&earlier, call.deadline).await;
            results.push(convert::lookup_result(found, Timestamp::now_utc())?);
        }
        Ok(Response::new(LookupClaimsResponse { results }))
    }

    type StreamShoppersStream =
        Pin<Box<dyn Stream<Item = Result<StreamShoppersResponse, Status>> + Send>>;

    async fn stream_shoppers(
        &self,
        request: Request<StreamShoppersRequest>,
    ) -> Result<Response<Self::StreamShoppersStream>, Status> {
        let (call, message) = open(request)?;
        let campaign = convert::campaign(message.campaign_number)?;
        let pages = self.replica.shoppers(campaign, call.deadline).await?;
        let stop = self.stop.clone();
        let messages = stream::try_unfold((pages, stop), |(mut pages, stop)| async move {
            let page = tokio::select! {
                page = pages.next() => page,
                () = stop.cancelled() => Err(IssuanceError::STOPPING),
            };
            let message = page?.map(|shoppers| StreamShoppersResponse {
                shopper_hashes: shoppers.iter().map(wire::shopper_hash).collect(),
            });
            Ok(message.map(|message| (message, (pages, stop))))
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn list_coupons(
        &self,
        request: Request<ListCouponsRequest>,
    ) -> Result<Response<ListCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let page = convert::page(message)?;
        let (coupons, next) = self.replica.list_coupons(&page, call.deadline).await?;
        let now = Timestamp::now_utc();
        let coupons = coupons.iter().map(|coupon| convert::coupon(coupon, now));
        Ok(Response::new(ListCouponsResponse {
            coupons: coupons.collect(),
            next_page_token: next.map(convert::page_token).unwrap_or_default(),
        }))
    }

    async fn check_coupon(
        &self,
        request: Request<CheckCouponRequest>,
    ) -> Result<Response<CheckCouponResponse>, Status> {
        let (call, message) = open(request)?;
        let shopper = convert::shopper(&message.shopper_id)?;
        let code = &message.coupon_code;
        let coupon = self.replica.coupon(&shopper, code, call.deadline).await?;
        let now = Timestamp::now_utc();
        let because = coupon.unusable_because(now);
        let reason = because.map_or(shared::Reason::Unspecified, wire::reason);
        Ok(Response::new(CheckCouponResponse {
            coupon: Some(convert::whole_coupon(&coupon, now)),
            usable: because.is_none(),
            unusable_because: reason.into(),
        }))
    }

    async fn redeem_coupons(
        &self,
        request: Request<RedeemCouponsRequest>,
    ) -> Result<Response<RedeemCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let batch = self.batch(call, message.lane, message.lanes, message.items.len())?;
        let replica = Arc::clone(&self.replica);
        let redeemed = detached(async move {
            let redeemed = message.items.into_iter().map(|item| async {
                let traceparent = item.traceparent.clone();
                match convert::redeem_request(item, &batch) {
                    Ok((request, purchase)) => {
                        of_item(&traceparent, replica.redeem(request, &purchase)).await
                    }
                    Err(error) => (Err(error), None),
                }
            });
            of_batch(redeemed).await
        });
        let redeemed = redeemed.await?.into_iter();
        let now = Timestamp::now_utc();
        let results = redeemed.map(|redeemed| convert::redeem_result(redeemed, now));
        Ok(Response::new(RedeemCouponsResponse {
            results: results.collect(),
        }))
    }

    async fn release_coupons(
        &self,
        request: Request<ReleaseCouponsRequest>,
    ) -> Result<Response<ReleaseCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let batch = self.batch(call, message.lane, message.lanes, message.items.len())?;
        let replica = Arc::clone(&self.replica);
        let released = detached(async move {
            let released = message.items.into_iter().map(|item| async {
                let traceparent = item.traceparent.clone();
                let (request, least) = convert::release_request(item, &batch)?;
                of_item(&traceparent, replica.release(request, least)).await
            });
            of_batch(released).await
        });
        let results = released.await?.into_iter().map(convert::release_result);
        Ok(Response::new(ReleaseCouponsResponse {
            results: results.collect(),
        }))
    }

    async fn verify_codes(
        &self,
        request: Request<VerifyCodesRequest>,
    ) -> Result<Response<VerifyCodesResponse>, Status> {
        let (_, message) = open(request)?;
        convert::check_item_count(message.items.len())?;
        let verify = |item: &CodeOfShopper| {
            let shopper = convert::shopper(&item.shopper_id)?;
            self.replica.keys.decode(&item.coupon_code, &shopper)
        };
        let verified: Vec<_> = message.items.iter().map(verify).collect();
        Ok(Response::new(convert::verified(&verified)))
    }

    async fn lookup_redemptions(
        &self,
        request: Request<LookupRedemptionsRequest>,
    ) -> Result<Response<LookupRedemptionsResponse>, Status> {
        let (_, message) = open(request)?;
        let codes = convert::typed_codes(&message.items)?;
        let order_ids = self.replica.redemptions(&codes).await?;
        Ok(Response::new(LookupRedemptionsResponse {
            order_ids: order_ids.into_iter().map(convert::id_or_empty).collect(),
        }))
    }
}

fn open<T>(request: Request<T>) -> Result<(CallContext, T)> {
    let call = request.extensions().get::<CallContext>().cloned();
    let call = call.ok_or(IssuanceError::Internal)?;
    Ok((call, request.into_inner()))
}
