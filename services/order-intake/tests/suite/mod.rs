//! Order-intake as a whole in this process, over mutual TLS: its own database, an issuance, and clients of several identities.

mod certificates;
pub mod issuance;
mod tokens;

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use futures_util::stream;
use tempfile::TempDir;
use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
use tidegate_order_intake::{Config, build};
use tidegate_pg::Database;
use tidegate_proto::{
    order_intake::v1::{
        feed_service_client::FeedServiceClient,
        order_intake_service_client::OrderIntakeServiceClient, place_order_result::Outcome,
        store_service_client::StoreServiceClient, *,
    },
    r#type::v1::{Money, Order, OrderLine, OrderState, Refusal},
};
use tidegate_rpc::{
    client::channel,
    server::{CallLayer, CallMetrics, CallPolicy, ConnectionLimits, Listener, serve},
};
use tidegate_runtime::{Host, HostSettings, Service};
use tidegate_telemetry::{Registry, TraceContext};
use tidegate_types::{Lanes, ReplicaId, ShopperId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, service::Routes, transport::Channel};

use crate::database::TestDatabase;
use issuance::Issuance;
use tokens::TokenMint;

pub const LANES: u16 = 4;
/// How many orders a shopper may have that are still to be made.
pub const OPEN_ORDERS: u16 = 300;

pub struct Suite {
    pub database: TestDatabase,
    pub issuance: Issuance,
    tokens: TokenMint,
    address: SocketAddr,
    folder: TempDir,
    /// Begins and awaits the end of order-intake's own work, as a process does after its last call.
    finish: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    stop: CancellationToken,
    _host: Host,
}

impl Suite {
    /// Starts with the store `s-1`.
    pub async fn start() -> Self {
        Self::start_with(TestDatabase::create().await, None).await
    }

    /// Starts over a database that may hold something already, and with a further address at which issuance is said to be.
    pub async fn start_with(database: TestDatabase, also_issuance: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates::make(folder.path());
        let (tokens, token_settings) = TokenMint::make(folder.path());
        let (issuance, issuance_address) = Issuance::start(tls(&folder, Identity::Issuance)).await;
        let issuance_addresses = [Some(issuance_address), also_issuance];
        let config = Config {
            database: Database::parse(&database.url(), "service test").unwrap(),
            migrate_on_start: true,
            lanes: Lanes::new(LANES).unwrap(),
            issuance: issuance_addresses
                .into_iter()
                .flatten()
                .map(|address| address.to_string())
                .collect(),
            retention_days: 30,
            open_orders_per_shopper: OPEN_ORDERS,
            tokens: token_settings,
        };
        let stop = CancellationToken::new();
        let host = Host::prepare(
            Identity::OrderIntake,
            settings(&folder),
            PeerRequirement::Certificate,
            stop.clone(),
        );
        let (service, host) = build(config, host.unwrap()).await.unwrap();
        let (address, finish) = listen(service, &host).await;
        let suite = Self {
            database,
            issuance,
            tokens,
            address,
            folder,
            finish: Some(finish),
            stop,
            _host: host,
        };
        suite.upsert_store("s-1").await;
        suite
    }

    pub fn channel(&self, identity: Identity) -> Channel {
        let tls = tls(&self.folder, identity);
        channel(&self.address.to_string(), Identity::OrderIntake, tls)
    }

    pub fn orders(&self, identity: Identity) -> OrderIntakeServiceClient<Channel> {
        OrderIntakeServiceClient::new(self.channel(identity))
    }

    pub fn stores(&self, identity: Identity) -> StoreServiceClient<Channel> {
        StoreServiceClient::new(self.channel(identity))
    }

    pub fn feed(&self) -> FeedServiceClient<Channel> {
        FeedServiceClient::new(self.channel(Identity::Staff))
    }

    /// A request with a token of staff.
    pub fn with_token<T>(&self, message: T, scope: &str, shopper_id: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.tokens.bearer(scope, shopper_id).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    /// A store that takes whatever comes.
    pub async fn upsert_store(&self, store_id: &str) {
        self.upsert(vec![store_of(store_id, 10_000)]).await.unwrap();
    }

    /// Keeps stores, in one message.
    pub async fn upsert(&self, stores: Vec<Store>) -> Result<UpsertStoresResponse, Status> {
        let messages = stream::iter([UpsertStoresRequest {
            stores,
            ..UpsertStoresRequest::default()
        }]);
        let request = self.with_token(messages, "stores:write", None);
        let answers = self.stores(Identity::Staff).upsert_stores(request).await;
        let answer = answers?.into_inner().message().await?;
        Ok(answer.unwrap())
    }

    /// Places items of the first one's lane.
    pub async fn place_all(&self, items: Vec<PlaceOrderItem>) -> Vec<Outcome> {
        let request = PlaceOrdersRequest {
            lane: lane_of(&items[0].shopper_id),
            lanes: LANES.into(),
            items,
        };
        let placed = self.orders(Identity::Gateway).place_orders(request).await;
        let results = placed.unwrap().into_inner().results;
        results
            .into_iter()
            .map(|result| result.outcome.unwrap())
            .collect()
    }

    pub async fn place(&self, item: PlaceOrderItem) -> Outcome {
        self.place_all(vec![item]).await.remove(0)
    }

    pub async fn get(&self, order: &Order) -> Order {
        let request = GetOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
        };
        let read = self.orders(Identity::Gateway).get_order(request).await;
        read.unwrap().into_inner().order.unwrap()
    }

    pub async fn list(&self, shopper_id: &str) -> Vec<Order> {
        let request = ListOrdersRequest {
            shopper_id: shopper_id.to_owned(),
            ..ListOrdersRequest::default()
        };
        let read = self.orders(Identity::Gateway).list_orders(request).await;
        read.unwrap().into_inner().orders
    }

    /// Watches an order until it is in a state.
    pub async fn watch_until(&self, order: &Order, state: OrderState) -> Vec<Order> {
        let request = WatchOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
        };
        let watching = self.orders(Identity::Gateway).watch_order(request).await;
        let (mut stream, mut seen) = (watching.unwrap().into_inner(), Vec::new());
        while seen.last().is_none_or(|last: &Order| last.state() != state) {
            let step = stream.message().await.unwrap();
            seen.push(step.unwrap().order.unwrap());
        }
        seen
    }

    pub async fn cancel(&self, order: &Order) -> Result<Order, Status> {
        let request = CancelOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
        };
        let answer = self.orders(Identity::Gateway).cancel_order(request).await;
        Ok(answer?.into_inner().order.unwrap())
    }

    pub async fn advance(&self, order: &Order, state: OrderState) -> Result<Order, Status> {
        let message = AdvanceOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            state: state.into(),
        };
        let request = self.with_token(message, "orders:fulfil", None);
        let answer = self.orders(Identity::Staff).advance_order(request).await;
        Ok(answer?.into_inner().order.unwrap())
    }

    pub async fn fail(&self, order: &Order, note: &str) -> Result<Order, Status> {
        let message = FailOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            note: note.to_owned(),
        };
        let request = self.with_token(message, "orders:fulfil", None);
        let answer = self.orders(Identity::Staff).fail_order(request).await;
        Ok(answer?.into_inner().order.unwrap())
    }

    pub async fn close(&self, message: CloseStoresRequest) -> Result<CloseStoresResponse, Status> {
        let request = self.with_token(message, "stores:write", None);
        let answer = self.stores(Identity::Staff).close_stores(request).await;
        Ok(answer?.into_inner())
    }

    /// Tells order-intake that its process is ending.
    pub fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends order-intake as the end of its process does.
    pub async fn finish(&mut self) {
        self.stop.cancel();
        if let Some(finish) = self.finish.take() {
            finish.await;
        }
    }
}

async fn listen(
    service: Service,
    host: &Host,
) -> (SocketAddr, Pin<Box<dyn Future<Output = ()> + Send>>) {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address();
    let policy = CallPolicy {
        access: service.access,
        max_in_flight: service.max_in_flight,
        tracing: host.tracing.clone(),
        metrics: CallMetrics::register(&mut Registry::default()),
    };
    tokio::spawn(serve(
        listener,
        Arc::clone(&host.tls),
        CallLayer::new(policy),
        (service.routes)(Routes::default()),
        CancellationToken::new(),
    ));
    (address, service.finish)
}

fn tls(folder: &TempDir, identity: Identity) -> Arc<TlsIdentity> {
    let files = certificates::files(folder.path(), identity);
    Arc::new(TlsIdentity::load(&files, PeerRequirement::Certificate).unwrap())
}

fn settings(folder: &TempDir) -> HostSettings {
    HostSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        replica: ReplicaId::parse("order-intake-0").unwrap(),
        tls: certificates::files(folder.path(), Identity::OrderIntake),
        otlp_endpoint: None,
        trace_sample_ratio: 0.0,
        log_filter: "info".to_owned(),
        lame_duck: std::time::Duration::ZERO,
        drain: std::time::Duration::from_secs(10),
        connections: ConnectionLimits::default(),
    }
}

pub fn lane_of(shopper_id: &str) -> u32 {
    let shopper = ShopperId::parse(shopper_id).unwrap();
    Lanes::new(LANES).unwrap().of(&shopper).get().into()
}

/// A coupon code that is told apart from others by its number.
pub fn code(number: u32) -> String {
    format!("{number:016}")
}

pub fn item(shopper_id: &str, request_id: &str, coupon_code: &str) -> PlaceOrderItem {
    PlaceOrderItem {
        shopper_id: shopper_id.to_owned(),
        request_id: request_id.to_owned(),
        store_id: "s-1".to_owned(),
        lines: vec![OrderLine {
            sku: "珍珠奶茶".to_owned(),
            quantity: 2,
            unit_price: Some(Money {
                currency_code: "CNY".to_owned(),
                minor_units: 1_250,
            }),
        }],
        coupon_code: coupon_code.to_owned(),
        latest_acceptable_at: None,
        traceparent: TraceContext::new_root(false).traceparent(),
        deadline_ms: 1_900,
        suggest_stores: false,
    }
}

pub fn store_of(store_id: &str, orders_per_slot: u32) -> Store {
    Store {
        store_id: store_id.to_owned(),
        display_name: "奶茶店".to_owned(),
        area: "west".to_owned(),
        orders_per_slot: Some(orders_per_slot),
        ..Store::default()
    }
}

pub fn placed(outcome: Outcome) -> PlacedOrder {
    match outcome {
        Outcome::Placed(placed) => placed,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Placed(placed) => panic!("placed: {placed:?}"),
    }
}
