//! An issuance that keeps what it redeemed in memory: the contract's answers, over the suite's own transport.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tidegate_auth::{Identity, TlsIdentity};
use tidegate_proto::{
    issuance::v1::{
        issuance_service_server::{IssuanceService, IssuanceServiceServer},
        redeem_result::Outcome,
        *,
    },
    r#type::v1::Coupon,
};
use tidegate_rpc::{
    server::{AccessRules, CallLayer, CallMetrics, CallPolicy, Listener, Rule, serve},
    wire,
};
use tidegate_telemetry::{Registry, Tracing};
use tidegate_types::{Reason, Refusal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

const RULES: &[Rule] = &[Rule {
    path: "/tidegate.issuance.v1.IssuanceService/RedeemCoupons",
    services: &[Identity::OrderIntake],
    scope: None,
}];

#[derive(Clone)]
pub struct Issuance(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Each call takes a permit and gives it back; none means that calls hang.
    open: Semaphore,
}

#[derive(Default)]
struct State {
    paid_orders: HashMap<String, String>,
    refusing: Option<Refusal>,
    calls: Vec<Vec<RedeemItem>>,
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

    /// What each call so far asked for.
    pub fn calls(&self) -> Vec<Vec<RedeemItem>> {
        self.0.state.lock().unwrap().calls.clone()
    }
}

impl State {
    fn redeem(&mut self, item: &RedeemItem) -> Outcome {
        if let Some(refusal) = &self.refusing {
            return Outcome::Refused(wire::refusal(refusal));
        }
        let paid = self
            .paid_orders
            .entry(item.coupon_code.clone())
            .or_insert_with(|| item.order_id.clone());
        if *paid == item.order_id {
            return Outcome::Redeemed(Coupon {
                order_id: paid.clone(),
                ..Coupon::default()
            });
        }
        let refusal = Refusal::never(Reason::CouponRedeemed).with("order_id", paid);
        Outcome::Refused(wire::refusal(&refusal))
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
            })
            .collect();
        Ok(Response::new(RedeemCouponsResponse { results }))
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
        _: Request<ReleaseCouponsRequest>,
    ) -> Result<Response<ReleaseCouponsResponse>, Status> {
        Err(not_for_order_intake())
    }
}

fn not_for_order_intake() -> Status {
    Status::unimplemented("order-intake only redeems")
}
