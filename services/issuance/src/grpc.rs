//! The gRPC face: decode, call, encode.

pub mod convert;
/// The desk of staff.
pub mod coupon_desk;
/// The stream of holders.
pub mod holders;
/// The fence of leases.
pub mod lease_fence;
pub mod status;

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{Stream, future::join_all};
use tidegate_auth::{Identity, Scope};
use tidegate_proto::{
    issuance::v1::{
        CheckCouponRequest, CheckCouponResponse, CodeOfShopper, IssueCouponsRequest,
        IssueCouponsResponse, ListCouponsRequest, ListCouponsResponse, LookupClaimsRequest,
        LookupClaimsResponse, RedeemCouponsRequest, RedeemCouponsResponse, ReleaseCouponsRequest,
        ReleaseCouponsResponse, StreamHoldersRequest, StreamHoldersResponse, VerifyCodesRequest,
        VerifyCodesResponse,
        coupon_desk_service_server::CouponDeskServiceServer,
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        lease_fence_service_server::LeaseFenceServiceServer,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    server::{CallContext, Limits, Rule, Work},
    wire,
};
use tidegate_types::{Lane, Timestamp};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    claims::Claims,
    coupon_desk::CouponDesk,
    error::IssuanceError,
    fence::LeaseFence,
    holders::Holders,
    wallet::{Redeemed, Wallet},
};
use coupon_desk::CouponDeskGrpc;
use lease_fence::LeaseFenceGrpc;
use status::{ended, to_status};

/// The full names of the services.
pub const SERVICES: &[&str] = &[
    "tidegate.issuance.v1.IssuanceService",
    "tidegate.issuance.v1.LeaseFenceService",
    "tidegate.issuance.v1.CouponDeskService",
];

macro_rules! rule {
    ($method:literal, $($service:ident),+) => {
        Rule { path: concat!("/tidegate.issuance.v1.", $method), services: &[$(Identity::$service),+], scope: None }
    };
    ($method:literal by $scope:ident) => {
        Rule { path: concat!("/tidegate.issuance.v1.", $method), services: &[], scope: Some(Scope::$scope) }
    };
}

/// Who may call what: services by their certificate, staff by their token.
pub const RULES: &[Rule] = &[
    rule!("IssuanceService/IssueCoupons", Gateway),
    rule!("IssuanceService/LookupClaims", Gateway),
    rule!("IssuanceService/StreamHolders", Gateway),
    rule!("IssuanceService/ListCoupons", Gateway),
    rule!("IssuanceService/CheckCoupon", Gateway, OrderIntake),
    rule!("IssuanceService/RedeemCoupons", OrderIntake),
    rule!("IssuanceService/ReleaseCoupons", OrderIntake),
    rule!("IssuanceService/VerifyCodes", OrderIntake),
    rule!("LeaseFenceService/SealLeases", Quota),
    rule!("LeaseFenceService/InspectLeases", Quota),
    rule!("LeaseFenceService/CountCoupons", Quota),
    rule!("LeaseFenceService/ApplyControl", Quota),
    rule!("LeaseFenceService/RetireCampaign", Quota),
    rule!("CouponDeskService/RevokeCoupon" by CouponsWrite),
    rule!("CouponDeskService/GrantCoupons" by CouponsWrite),
];

/// Items of one call at most.
pub const MAX_ITEMS: usize = 1_000;

macro_rules! paths {
    ($($method:literal),+ $(,)?) => { &[$(concat!("/tidegate.issuance.v1.IssuanceService/", $method)),+] };
}

/// Of the calls in flight, a half may be claims, a quarter redemptions, releases and what orders
/// ask before, and an eighth reads: no crowd of one keeps out another, and quota's seals always
/// find room.
pub fn limits(max_in_flight: usize) -> Limits {
    let orders = paths!["RedeemCoupons", "ReleaseCoupons", "VerifyCodes"];
    let reads = paths!["LookupClaims", "ListCoupons", "CheckCoupon"];
    Limits::default()
        .with_work(Work::Orders, orders)
        .with_work(Work::Claims, paths!["IssueCoupons"])
        .with_work(Work::Browsing, reads)
        .at_most(Work::Claims, max_in_flight.div_ceil(2))
        .at_most(Work::Orders, max_in_flight.div_ceil(4))
        .at_most(Work::Browsing, max_in_flight.div_ceil(8))
}

/// What the services do their work with.
pub struct Parts {
    /// Claims.
    pub claims: Claims,
    /// Coupons there are.
    pub wallet: Wallet,
    /// Who holds coupons.
    pub holders: Holders,
    /// The fence of leases.
    pub fence: LeaseFence,
    /// The desk of staff.
    pub desk: CouponDesk,
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
    let desk = CouponDeskServiceServer::new(CouponDeskGrpc::new(parts.desk, stop));
    routes
        .add_service(bounded!(issuance))
        .add_service(bounded!(fence))
        .add_service(bounded!(desk))
}

/// Serves `IssuanceService`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_rule() {
        let methods = tidegate_proto::methods(SERVICES);
        assert_eq!(methods.len(), RULES.len());
        for method in methods {
            assert!(
                RULES.iter().any(|rule| rule.path == method),
                "{method} has no rule"
            );
        }
    }
}
