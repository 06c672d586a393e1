//! An issuance that keeps what it redeemed in memory: the contract's answers, over the suite's own
//! transport.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::Stream;
use tidegate_auth::TlsIdentity;
use tidegate_proto::{
    issuance::v1::{
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        redeem_result::Outcome,
        *,
    },
    r#type::v1::{Coupon, Money},
};
use tidegate_rpc::{
    access_rules,
    server::{AccessRules, CallLayer, CallMetrics, CallPolicy, Listener, Rule, serve},
    wire,
};
use tidegate_telemetry::{Registry, Tracing};
use tidegate_types::{Reason, Refusal, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
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

#[derive(Default)]
struct State {
    /// By shopper and code: two shoppers may have the same code.
    paid_orders: HashMap<(String, String), String>,
    /// Orders that have given their coupon back, or never had it: they cannot use it any more.
    released_orders: HashSet<String>,
    refusing: Option<Refusal>,
    refusing_releases: bool,
    minimum_spend: i64,
    campaign_closes_at: Option<Timestamp>,
    calls: Vec<Vec<RedeemItem>>,
    /// Codes that were never made.
    false_codes: HashSet<String>,
    /// Codes whose key is missing.
    keyless_codes: HashSet<String>,
    /// Releases that gave a coupon back.
    given_back: Vec<String>,
}

impl Issuance {
    pub async fn start(tls: Arc<TlsIdentity>) -> (Self, SocketAddr) {
        let issuance = Self(Arc::new(Shared {
            state: Mutex::default(),
            open: Semaphore::new(1),
        }));
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.address();
        let policy = CallPolicy {
            access: AccessRules::services_only(RULES),
            max_in_flight: 100,
            tracing: Tracing::disabled(),
            metrics: CallMetrics::register(&mut Registry::default()),
        };
        let routes = Routes::new(IssuanceServiceServer::new(issuance.clone()));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, tls, CallLayer::new(policy), routes, stop));
        (issuance, address)
    }

    /// Calls that come from now on hang until [`Issuance::go_on`].
    pub async fn hang(&self) {
        self.0.open.acquire().await.unwrap().forget();
    }

    pub fn go_on(&self) {
        self.0.open.add_permits(1);
    }

    /// Every redemption is refused like this, until it is set to `None`.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.0.state.lock().unwrap().refusing = refusal;
    }

    /// Has a coupon pay for an order, or for none, whatever was asked before.
    pub fn pay_for(&self, shopper: &str, code: &str, order_id: Option<&str>) {
        let mut state = self.0.state.lock().unwrap();
        let coupon = (shopper.to_owned(), code.to_owned());
        match order_id {
            Some(order_id) => state.paid_orders.insert(coupon, order_id.to_owned()),
            None => state.paid_orders.remove(&coupon),
        };
    }

    /// A code was never made.
    pub fn deny(&self, code: &str) {
        let mut state = self.0.state.lock().unwrap();
        state.false_codes.insert(code.to_owned());
    }

    /// The key of a code is missing from now on, or back.
    pub fn lose_key_of(&self, code: &str, is_missing: bool) {
        let mut state = self.0.state.lock().unwrap();
        if is_missing {
            state.keyless_codes.insert(code.to_owned());
        } else {
            state.keyless_codes.remove(code);
        }
    }

    /// Orders below this total are none for any coupon.
    pub fn ask_for(&self, minimum_spend: i64) {
        self.0.state.lock().unwrap().minimum_spend = minimum_spend;
    }

    /// Releases fail from now on, or work again.
    pub fn refuse_releases(&self, refusing: bool) {
        self.0.state.lock().unwrap().refusing_releases = refusing;
    }

    /// Tells when the campaign of every coupon ends.
    pub fn close_campaigns_at(&self, moment: Timestamp) {
        self.0.state.lock().unwrap().campaign_closes_at = Some(moment);
    }

    /// The order a coupon pays for now.
    pub fn holder(&self, code: &str) -> Option<String> {
        let state = self.0.state.lock().unwrap();
        let mut paid = state.paid_orders.iter();
        paid.find(|((_, paid), _)| paid == code)
            .map(|(_, order)| order.clone())
    }

    /// The coupons that were given back, once for each time.
    pub fn given_back(&self) -> Vec<String> {
        self.0.state.lock().unwrap().given_back.clone()
    }

    /// What each call so far asked for.
    pub fn calls(&self) -> Vec<Vec<RedeemItem>> {
        self.0.state.lock().unwrap().calls.clone()
    }
}

impl State {
    fn redeem(&mut self, item: &RedeemItem) -> Outcome {
        if self.false_codes.contains(&item.coupon_code) {
            return Outcome::Refused(wire::refusal(&Refusal::never(Reason::CouponNotFound)));
        }
        if self.keyless_codes.contains(&item.coupon_code) {
            return Outcome::Refused(wire::refusal(&Refusal::coupon_key_missing()));
        }
        if let Some(refusal) = &self.refusing {
            return Outcome::Refused(wire::refusal(refusal));
        }
        let total = item.total.as_ref().unwrap().minor_units;
        if total < self.minimum_spend {
            let refusal = Refusal::never(Reason::CouponNotApplicable)
                .with("minimum_spend_minor_units", self.minimum_spend);
            return Outcome::Refused(wire::refusal(&refusal));
        }
        if self.released_orders.contains(&item.order_id) {
            let refusal = Refusal::never(Reason::CouponRedeemed).with("order_id", &item.order_id);
            return Outcome::Refused(wire::refusal(&refusal));
        }
        let paid = self
            .paid_orders
            .entry((item.shopper_id.clone(), item.coupon_code.clone()))
            .or_insert_with(|| item.order_id.clone());
        if *paid == item.order_id {
            return Outcome::Redeemed(Coupon {
                order_id: paid.clone(),
                face_value: Some(Money {
                    currency_code: "CNY".to_owned(),
                    minor_units: FACE_VALUE,
                }),
                ..Coupon::default()
            });
        }
        let refusal = Refusal::never(Reason::CouponRedeemed).with("order_id", paid);
        Outcome::Refused(wire::refusal(&refusal))
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
        let mut state = self.0.state.lock().unwrap();
        state.calls.push(items.clone());
        let results = items
            .iter()
            .map(|item| RedeemResult {
                outcome: Some(state.redeem(item)),
                campaign_closes_at: state.campaign_closes_at.map(wire::timestamp),
            })
            .collect();
        Ok(Response::new(RedeemCouponsResponse { results }))
    }

    async fn verify_codes(
        &self,
        request: Request<VerifyCodesRequest>,
    ) -> Result<Response<VerifyCodesResponse>, Status> {
        let items = request.into_inner().items;
        let _open = self.0.open.acquire().await.unwrap();
        let state = self.0.state.lock().unwrap();
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
        let state = self.0.state.lock().unwrap();
        let paid = |item: CodeOfShopper| {
            let coupon = (item.shopper_id, item.coupon_code);
            state.paid_orders.get(&coupon).cloned().unwrap_or_default()
        };
        Ok(Response::new(LookupRedemptionsResponse {
            order_ids: items.into_iter().map(paid).collect(),
        }))
    }

    async fn issue_coupons(
        &self,
        _: Request<IssueCouponsRequest>,
    ) -> Result<Response<IssueCouponsResponse>, Status> {
        Err(not_for_order_intake())
    }

    async fn lookup_claims(
        &self,
        _: Request<LookupClaimsRequest>,
    ) -> Result<Response<LookupClaimsResponse>, Status> {
        Err(not_for_order_intake())
    }

    type StreamShoppersStream =
        Pin<Box<dyn Stream<Item = Result<StreamShoppersResponse, Status>> + Send>>;

    async fn stream_shoppers(
        &self,
        _: Request<StreamShoppersRequest>,
    ) -> Result<Response<Self::StreamShoppersStream>, Status> {
        Err(not_for_order_intake())
    }

    async fn list_coupons(
        &self,
        _: Request<ListCouponsRequest>,
    ) -> Result<Response<ListCouponsResponse>, Status> {
        Err(not_for_order_intake())
    }

    async fn check_coupon(
        &self,
        _: Request<CheckCouponRequest>,
    ) -> Result<Response<CheckCouponResponse>, Status> {
        Err(not_for_order_intake())
    }

    async fn release_coupons(
        &self,
        request: Request<ReleaseCouponsRequest>,
    ) -> Result<Response<ReleaseCouponsResponse>, Status> {
        let items = request.into_inner().items;
        let mut state = self.0.state.lock().unwrap();
        let results = items
            .iter()
            .map(|item| ReleaseResult {
                outcome: Some(state.release(item)),
            })
            .collect();
        Ok(Response::new(ReleaseCouponsResponse { results }))
    }
}

fn not_for_order_intake() -> Status {
    Status::unimplemented("order-intake redeems and releases")
}
