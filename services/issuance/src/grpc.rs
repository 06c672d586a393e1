//! The gRPC face: decode, call, encode.

mod access;
pub mod convert;
pub mod coupon_desk;
pub mod holders;
pub mod lease_fence;
pub mod status;

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{Stream, future::join_all};
use tidegate_proto::{
    issuance::v1::{
        CheckCouponRequest, CheckCouponResponse, CodeOfShopper, IssueCouponsRequest,
        IssueCouponsResponse, ListCouponsRequest, ListCouponsResponse, LookupClaimsRequest,
        LookupClaimsResponse, LookupRedemptionsRequest, LookupRedemptionsResponse,
        RedeemCouponsRequest, RedeemCouponsResponse, ReleaseCouponsRequest, ReleaseCouponsResponse,
        StreamHoldersRequest, StreamHoldersResponse, VerifyCodesRequest, VerifyCodesResponse,
        coupon_desk_service_server::CouponDeskServiceServer,
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        lease_fence_service_server::LeaseFenceServiceServer,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::CallContext, wire};
use tidegate_types::{Lane, Timestamp};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    claims::Claims,
    coupon_desk::CouponDesk,
    coupon_search::CouponSearch,
    error::IssuanceError,
    fence::LeaseFence,
    holders::Holders,
    wallet::{Redeemed, Wallet},
};
pub use access::{RULES, limits};
use coupon_desk::CouponDeskGrpc;
use lease_fence::LeaseFenceGrpc;
use status::{ended, to_status};

/// The full names of the services.
pub const SERVICES: &[&str] = &[
    "tidegate.issuance.v1.IssuanceService",
    "tidegate.issuance.v1.LeaseFenceService",
    "tidegate.issuance.v1.CouponDeskService",
];

/// Items of one call at most.
pub const MAX_ITEMS: usize = 1_000;

/// What the services do their work with.
pub struct Parts {
    pub claims: Claims,
    pub wallet: Wallet,
    pub holders: Holders,
    pub fence: LeaseFence,
    pub desk: CouponDesk,
    pub search: CouponSearch,
}

/// Adds every service. Streams end once `stop` is cancelled.
pub fn add(routes: Routes, parts: Parts, stop: CancellationToken) -> Routes {
    macro_rules! bounded {
        ($server:expr) => {
            $server
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
    }
    let issuance = IssuanceServiceServer::new(IssuanceGrpc {
        claims: parts.claims,
        wallet: parts.wallet,
        holders: parts.holders,
        stop: stop.clone(),
    });
    let fence = LeaseFenceServiceServer::new(LeaseFenceGrpc::new(parts.fence));
    let desk = CouponDeskGrpc::new(parts.desk, parts.search, stop);
    let desk = CouponDeskServiceServer::new(desk);
    routes
        .add_service(bounded!(issuance))
        .add_service(bounded!(fence))
        .add_service(bounded!(desk))
}

struct IssuanceGrpc {
    claims: Claims,
    wallet: Wallet,
    holders: Holders,
    stop: CancellationToken,
}

impl IssuanceGrpc {
    fn lane(&self, lane: u32, lanes: u32) -> Result<Lane, Status> {
        let ours = self.claims.lane_count;
        let other = || to_status(&IssuanceError::OtherLanes { lanes: ours.get() });
        if lanes != u32::from(ours.get()) {
            return Err(other());
        }
        ours.lane(lane).map_err(|_| other())
    }
}

#[tonic::async_trait]
impl IssuanceService for IssuanceGrpc {
    async fn issue_coupons(
        &self,
        request: Request<IssueCouponsRequest>,
    ) -> Result<Response<IssueCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let lane = self.lane(message.lane, message.lanes)?;
        convert::check_item_count(message.items.len()).map_err(|error| to_status(&error))?;
        let (claims, wallet) = (self.claims.clone(), self.wallet.clone());
        // The caller may hang up; what it asked for goes on.
        let work = tokio::spawn(async move {
            let answers = message.items.into_iter().map(|item| async {
                let request = convert::claim_request(item, &call, claims.lane_count, lane)?;
                let shopper = request.shopper.clone();
                let answered = claims.issue(request).await;
                let presented = answered.outcome.and_then(|issued| {
                    let in_force = issued.in_force.as_ref();
                    let coupon = wallet.hand_out(issued.coupon, &shopper, in_force)?;
                    Ok((coupon, issued.replayed))
                });
                Ok((presented, answered.queue_delay))
            });
            join_all(answers).await
        });
        let answers: Vec<Result<_, IssuanceError>> = work.await.map_err(ended)?;
        let delays = answers.iter().flatten().filter_map(|(_, delay)| *delay);
        let queue_delay = delays.max().map(wire::duration);
        let now = Timestamp::now_utc();
        let results = answers
            .into_iter()
            .map(|answer| {
                let outcome = answer.and_then(|(outcome, _)| outcome);
                convert::issue_result(outcome, now)
            })
            .collect();
        Ok(Response::new(IssueCouponsResponse {
            results,
            queue_delay,
        }))
    }

    async fn lookup_claims(
        &self,
        request: Request<LookupClaimsRequest>,
    ) -> Result<Response<LookupClaimsResponse>, Status> {
        let (call, message) = open(request)?;
        convert::check_item_count(message.items.len()).map_err(|error| to_status(&error))?;
        let mut results = Vec::with_capacity(message.items.len());
        for item in message.items {
            let earlier = convert::lookup(item).map_err(|error| to_status(&error))?;
            let found = self.wallet.of_claim(&earlier, call.deadline).await;
            let result = convert::lookup_result(found, Timestamp::now_utc());
            results.push(result.map_err(|error| to_status(&error))?);
        }
        Ok(Response::new(LookupClaimsResponse { results }))
    }

    type StreamHoldersStream =
        Pin<Box<dyn Stream<Item = Result<StreamHoldersResponse, Status>> + Send>>;

    async fn stream_holders(
        &self,
        request: Request<StreamHoldersRequest>,
    ) -> Result<Response<Self::StreamHoldersStream>, Status> {
        let (call, message) = open(request)?;
        let campaign =
            convert::campaign(message.campaign_number).map_err(|error| to_status(&error))?;
        let pages = self
            .holders
            .open(campaign, call.deadline)
            .await
            .map_err(|error| to_status(&error))?;
        let stream = holders::stream(pages, self.stop.clone());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_coupons(
        &self,
        request: Request<ListCouponsRequest>,
    ) -> Result<Response<ListCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let page = convert::page(message).map_err(|error| to_status(&error))?;
        let (coupons, next) = self
            .wallet
            .list(
                &page.shopper,
                page.campaign,
                (page.start, page.size),
                call.deadline,
            )
            .await
            .map_err(|error| to_status(&error))?;
        let now = Timestamp::now_utc();
        Ok(Response::new(ListCouponsResponse {
            coupons: coupons
                .iter()
                .map(|coupon| convert::coupon(coupon, now))
                .collect(),
            next_page_token: next.map(convert::page_token).unwrap_or_default(),
        }))
    }

    async fn check_coupon(
        &self,
        request: Request<CheckCouponRequest>,
    ) -> Result<Response<CheckCouponResponse>, Status> {
        let (call, message) = open(request)?;
        let shopper = convert::shopper(&message.shopper_id).map_err(|error| to_status(&error))?;
        let coupon = self
            .wallet
            .get(&shopper, &message.coupon_code, call.deadline)
            .await
            .map_err(|error| to_status(&error))?;
        let now = Timestamp::now_utc();
        let because = coupon.unusable_because(now);
        Ok(Response::new(CheckCouponResponse {
            coupon: Some(convert::whole_coupon(&coupon, now)),
            usable: because.is_none(),
            unusable_because: because
                .map_or(shared::Reason::Unspecified, wire::reason)
                .into(),
        }))
    }

    async fn redeem_coupons(
        &self,
        request: Request<RedeemCouponsRequest>,
    ) -> Result<Response<RedeemCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let lane = self.lane(message.lane, message.lanes)?;
        convert::check_item_count(message.items.len()).map_err(|error| to_status(&error))?;
        let wallet = self.wallet.clone();
        let work = tokio::spawn(async move {
            join_all(message.items.into_iter().map(|item| async {
                match convert::redeem_request(item, &call, wallet.claims.lane_count, lane) {
                    Ok(request) => wallet.redeem(request).await,
                    Err(error) => Redeemed::refused(error),
                }
            }))
            .await
        });
        let outcomes = work.await.map_err(ended)?;
        let now = Timestamp::now_utc();
        Ok(Response::new(RedeemCouponsResponse {
            results: outcomes
                .into_iter()
                .map(|redeemed| convert::redeem_result(redeemed, now))
                .collect(),
        }))
    }

    async fn release_coupons(
        &self,
        request: Request<ReleaseCouponsRequest>,
    ) -> Result<Response<ReleaseCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let lane = self.lane(message.lane, message.lanes)?;
        convert::check_item_count(message.items.len()).map_err(|error| to_status(&error))?;
        let wallet = self.wallet.clone();
        let work = tokio::spawn(async move {
            join_all(message.items.into_iter().map(|item| async {
                let request =
                    convert::release_request(item, &call, wallet.claims.lane_count, lane)?;
                wallet.release(request).await
            }))
            .await
        });
        let outcomes = work.await.map_err(ended)?;
        Ok(Response::new(ReleaseCouponsResponse {
            results: outcomes.into_iter().map(convert::release_result).collect(),
        }))
    }

    async fn verify_codes(
        &self,
        request: Request<VerifyCodesRequest>,
    ) -> Result<Response<VerifyCodesResponse>, Status> {
        let (_, message) = open(request)?;
        convert::check_item_count(message.items.len()).map_err(|error| to_status(&error))?;
        let verify = |item: &CodeOfShopper| {
            let shopper = convert::shopper(&item.shopper_id)?;
            self.wallet.keys.decode(&item.coupon_code, &shopper)
        };
        let verified: Vec<_> = message.items.iter().map(verify).collect();
        Ok(Response::new(convert::verified(&verified)))
    }

    async fn lookup_redemptions(
        &self,
        request: Request<LookupRedemptionsRequest>,
    ) -> Result<Response<LookupRedemptionsResponse>, Status> {
        let (_, message) = open(request)?;
        let codes = convert::typed_codes(&message.items).map_err(|error| to_status(&error))?;
        let order_ids = self.wallet.redemptions(&codes).await;
        let order_ids = order_ids.map_err(|error| to_status(&error))?;
        Ok(Response::new(convert::redemptions(order_ids)))
    }
}

fn open<T>(request: Request<T>) -> Result<(CallContext, T), Status> {
    let call = request.extensions().get::<CallContext>().cloned();
    let call = call.ok_or_else(|| to_status(&IssuanceError::Internal))?;
    Ok((call, request.into_inner()))
}

/// When an item's caller stops waiting: its own deadline, but not after the call's.
fn item_deadline(deadline_ms: u32, call: &CallContext) -> Instant {
    call.deadline
        .min(Instant::now() + Duration::from_millis(u64::from(deadline_ms)))
}
