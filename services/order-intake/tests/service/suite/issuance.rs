//! An issuance that keeps what it redeemed in memory: the contract's answers, over the suite's own
//! transport.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::Stream;
use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        redeem_result::Outcome,
        *,
    },
    r#type::v1::{Coupon, Money},
};
use tidegate_rpc::{access_rules, server::Rule, wire};
use tidegate_test_kit::{Credentials, never_asked, serve_stand_in};
use tidegate_types::{Reason, Refusal, Timestamp};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, service::Routes};

const RULES: &[Rule] = access_rules! {
    "tidegate.issuance.v1.IssuanceService" {
        RedeemCoupons: Orders, by [OrderIntake];
        VerifyCodes: Orders, by [OrderIntake];
        ReleaseCoupons: Orders, by [OrderIntake];
        LookupRedemptions: Browsing, by [OrderIntake];
    }
};
/// What every coupon takes off, in minor units of yuan.
const FACE_VALUE: i64 = 1_000;

#[derive(Clone)]
pub struct Issuance(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Each call takes a permit and gives it back; none means that calls hang.
    open: Semaphore,
}

/// What it knows, open to be told otherwise.
#[derive(Default)]
pub struct State {
    /// By shopper and code: two shoppers may have the same code.
    pub paid_orders: HashMap<(String, String), String>,
    /// Orders that have given their coupon back, or never had it: they cannot use it any more.
    released_orders: HashSet<String>,
    /// How every redemption is refused.
    pub refusing: Option<Refusal>,
    /// Whether every release fails.
    pub refusing_releases: bool,
    /// Orders below this total are none for any coupon.
    pub minimum_spend: i64,
    /// When the campaign of every coupon ends.
    pub campaign_closes_at: Option<Timestamp>,
    /// What each call so far asked to redeem.
    pub calls: Vec<Vec<RedeemItem>>,
    /// Codes that were never made.
    pub false_codes: HashSet<String>,
    /// Codes whose key is missing.
    pub keyless_codes: HashSet<String>,
    /// Releases that gave a coupon back, once for each time.
    pub given_back: Vec<String>,
}

impl Issuance {
    pub async fn start(credentials: &Credentials) -> (Self, SocketAddr) {
        let issuance = Self(Arc::new(Shared {
            state: Mutex::default(),
            open: Semaphore::new(1),
        }));
        let routes = Routes::new(IssuanceServiceServer::new(issuance.clone()));
        let address = serve_stand_in(credentials, Identity::Issuance, RULES, routes).await;
        (issuance, address)
    }

    /// Calls that come from now on hang until [`Issuance::go_on`].
    pub async fn hang(&self) {
        self.0.open.acquire().await.unwrap().forget();
    }

    pub fn go_on(&self) {
        self.0.open.add_permits(1);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Has a coupon pay for an order, whatever was asked before.
    pub fn pay_for(&self, shopper: &str, code: &str, order_id: &str) {
        let coupon = (shopper.to_owned(), code.to_owned());
        let mut state = self.state();
        state.paid_orders.insert(coupon, order_id.to_owned());
    }

    /// The order a coupon pays for now.
    pub fn holder(&self, code: &str) -> Option<String> {
        let state = self.state();
        let mut paid = state.paid_orders.iter();
        let found = paid.find(|((_, paid), _)| paid == code);
        found.map(|(_, order)| order.clone())
    }
}

impl State {
    fn redeem(&mut self, item: &RedeemItem) -> Result<Coupon, Refusal> {
        if self.false_codes.contains(&item.coupon_code) {
            return Err(Refusal::never(Reason::CouponNotFound));
        }
        if self.keyless_codes.contains(&item.coupon_code) {
            return Err(Refusal::coupon_key_missing());
        }
        if let Some(refusal) = &self.refusing {
            return Err(refusal.clone());
        }
        let least = self.minimum_spend;
        if item.total.as_ref().unwrap().minor_units < least {
            let refusal = Refusal::never(Reason::CouponNotApplicable);
            return Err(refusal.with("minimum_spend_minor_units", least));
        }
        let redeemed = |by: &str| Refusal::never(Reason::CouponRedeemed).with("order_id", by);
        if self.released_orders.contains(&item.order_id) {
            return Err(redeemed(&item.order_id));
        }
        let coupon = (item.shopper_id.clone(), item.coupon_code.clone());
        let paid = self.paid_orders.entry(coupon);
        let paid = paid.or_insert_with(|| item.order_id.clone());
        if *paid != item.order_id {
            return Err(redeemed(paid));
        }
        Ok(Coupon {
            order_id: paid.clone(),
            face_value: Some(Money {
                currency_code: "CNY".to_owned(),
                minor_units: FACE_VALUE,
            }),
            ..Coupon::default()
        })
    }

    fn release(&mut self, item: &ReleaseItem) -> release_result::Outcome {
        if self.refusing_releases {
            let refusal = Refusal::after(Reason::Overloaded, Duration::from_millis(100));
            return release_result::Outcome::Refused(wire::refusal(&refusal));
        }
        self.released_orders.insert(item.order_id.clone());
        let coupon = (item.shopper_id.clone(), item.coupon_code.clone());
        let changed = self.paid_orders.get(&coupon) == Some(&item.order_id);
        if changed {
            self.paid_orders.remove(&coupon);
            self.given_back.push(item.coupon_code.clone());
        }
        release_result::Outcome::Released(Released { changed })
    }
}

#[tonic::async_trait]
impl IssuanceService for Issuance {
    async fn redeem_coupons(
        &self,
        request: Request<RedeemCouponsRequest>,
    ) -> Result<Response<RedeemCouponsResponse>, Status> {
        let items = request.into_inner().items;
        let _open = self.0.open.acquire().await.unwrap();
        let mut state = self.state();
        state.calls.push(items.clone());
        let results = items.iter().map(|item| RedeemResult {
            outcome: Some(match state.redeem(item) {
                Ok(coupon) => Outcome::Redeemed(coupon),
                Err(refusal) => Outcome::Refused(wire::refusal(&refusal)),
            }),
            campaign_closes_at: state.campaign_closes_at.map(wire::timestamp),
        });
        let results = results.collect();
        Ok(Response::new(RedeemCouponsResponse { results }))
    }

    async fn verify_codes(
        &self,
        request: Request<VerifyCodesRequest>,
    ) -> Result<Response<VerifyCodesResponse>, Status> {
        let items = request.into_inner().items;
        let _open = self.0.open.acquire().await.unwrap();
        let state = self.state();
        let is_true = |item: &CodeOfShopper| !state.false_codes.contains(&item.coupon_code);
        let is_missing = |item: &CodeOfShopper| state.keyless_codes.contains(&item.coupon_code);
        Ok(Response::new(VerifyCodesResponse {
            is_true: items.iter().map(is_true).collect(),
            key_is_missing: items.iter().map(is_missing).collect(),
        }))
    }

    async fn lookup_redemptions(
        &self,
        request: Request<LookupRedemptionsRequest>,
    ) -> Result<Response<LookupRedemptionsResponse>, Status> {
        let items = request.into_inner().items;
        let _open = self.0.open.acquire().await.unwrap();
        let state = self.state();
        let paid = |item: CodeOfShopper| {
            let coupon = (item.shopper_id, item.coupon_code);
            state.paid_orders.get(&coupon).cloned().unwrap_or_default()
        };
        Ok(Response::new(LookupRedemptionsResponse {
            order_ids: items.into_iter().map(paid).collect(),
        }))
    }

    async fn release_coupons(
        &self,
        request: Request<ReleaseCouponsRequest>,
    ) -> Result<Response<ReleaseCouponsResponse>, Status> {
        let items = request.into_inner().items;
        let mut state = self.state();
        let results = items.iter().map(|item| ReleaseResult {
            outcome: Some(state.release(item)),
        });
        let results = results.collect();
        Ok(Response::new(ReleaseCouponsResponse { results }))
    }

    type StreamShoppersStream =
        Pin<Box<dyn Stream<Item = Result<StreamShoppersResponse, Status>> + Send>>;

    never_asked! {
        issue_coupons(IssueCouponsRequest) -> IssueCouponsResponse;
        lookup_claims(LookupClaimsRequest) -> LookupClaimsResponse;
        stream_shoppers(StreamShoppersRequest) -> Self::StreamShoppersStream;
        list_coupons(ListCouponsRequest) -> ListCouponsResponse;
        check_coupon(CheckCouponRequest) -> CheckCouponResponse;
    }
}
