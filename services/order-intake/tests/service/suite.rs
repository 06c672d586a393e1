//! Order-intake as a whole in this process, over mutual TLS: its own database, an issuance, and
//! clients of several identities.

pub mod issuance;

use std::{net::SocketAddr, sync::Arc};

use futures_util::stream;
use tidegate_auth::Identity;
use tidegate_order_intake::{Config, build};
use tidegate_proto::{
    order_intake::v1::{
        feed_service_client::FeedServiceClient,
        order_intake_service_client::OrderIntakeServiceClient, place_order_result::Outcome,
        store_service_client::StoreServiceClient, *,
    },
    r#type::v1::{Money, Order, OrderLine, OrderState, Refusal},
};
use tidegate_rpc::refusal::from_status;
use tidegate_test_kit::{Credentials, Running, TestDatabase, call_by_path, traceparent, until};
use tidegate_types::{Lanes, Reason, ShopperId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, transport::Channel};

use issuance::Issuance;

pub const LANES: u16 = 4;
/// How many orders a shopper may have that are still to be made.
pub const OPEN_ORDERS: u16 = 300;

pub struct Suite {
    pub database: TestDatabase,
    pub issuance: Issuance,
    credentials: Arc<Credentials>,
    running: Running,
    /// One connection of the gateway's, as it has few for all of its shoppers.
    gateway: Channel,
}

impl Suite {
    /// Starts with the store `s-1`.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts with a further address at which issuance is said to be.
    pub async fn start_with(also_issuance: Option<SocketAddr>) -> Self {
        let (database, credentials) = (TestDatabase::create().await, Credentials::make());
        let (issuance, issuance_address) = Issuance::start(&credentials).await;
        let addresses = [Some(issuance_address), also_issuance]
            .into_iter()
            .flatten();
        let config = Config {
            database: database.open(),
            migrate_on_start: true,
            lanes: Lanes::new(LANES).unwrap(),
            issuance: addresses.map(|address| address.to_string()).collect(),
            retention_days: 30,
            open_orders_per_shopper: OPEN_ORDERS,
            tokens: credentials.token_settings(),
        };
        let build = |host| build(config, host);
        let running = Running::start(&credentials, Identity::OrderIntake, build).await;
        let suite = Self {
            database,
            issuance,
            credentials,
            gateway: running.channel(Identity::Gateway),
            running,
        };
        suite.upsert_store("s-1").await;
        suite
    }

    fn channel(&self, identity: Identity) -> Channel {
        match identity {
            Identity::Gateway => self.gateway.clone(),
            _ => self.running.channel(identity),
        }
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
        self.credentials.with_token(message, scope, shopper_id)
    }

    /// Calls a method with an empty message; why it is refused, if it is.
    pub async fn call(
        &self,
        identity: Identity,
        method: &str,
        token: Option<(&str, Option<&str>)>,
    ) -> Option<Reason> {
        let request = match token {
            Some((scope, shopper_id)) => self.with_token((), scope, shopper_id),
            None => Request::new(()),
        };
        let path = format!("tidegate.order_intake.v1.{method}");
        call_by_path(self.channel(identity), &path, request).await
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
            ..PlaceOrdersRequest::default()
        };
        let placed = self.orders(Identity::Gateway).place_orders(request).await;
        let results = placed.unwrap().into_inner().results.into_iter();
        results.map(|result| result.outcome.unwrap()).collect()
    }

    pub async fn place(&self, item: PlaceOrderItem) -> Outcome {
        self.place_all(vec![item]).await.remove(0)
    }

    /// Places an item that is taken.
    pub async fn order(&self, item: PlaceOrderItem) -> Order {
        placed(self.place(item).await).order.unwrap()
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

    /// Waits until an order's coupon was given back.
    pub async fn until_released(&self, order: &Order) {
        let is_released = async || self.get(order).await.coupon_released_at.is_some();
        until("its coupon is given back", is_released).await;
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
        self.running.host.stop.clone()
    }

    /// Ends order-intake as the end of its process does.
    pub async fn finish(&mut self) {
        self.running.finish().await;
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
        traceparent: traceparent(),
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

/// The fields that a refusal names, in its order.
pub fn bad_fields(status: &Status) -> Vec<String> {
    let violations = from_status(status).violations.into_iter();
    violations.map(|bad| bad.field).collect()
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
