mod audit;
mod closings;
mod colliding_codes;
mod commits;
mod feed;
mod late;
mod moves;
mod plan;
mod reads;
mod recorded;
mod remembered;
mod retention;
mod slots;
mod staff_reads;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sqlx::PgPool;
use tidegate_pg::{Database, QueueMetrics};
use tidegate_telemetry::Registry;
use tidegate_test_kit::TestDatabase;
use tidegate_types::{
    Actor, CouponCode, CurrencyCode, Lane, Lanes, Money, Reason, Refusal, RequestId, ShopperId,
    StoreId, Timestamp,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Store, migrations};
use crate::{
    domain::{
        Area, Bill, ClosingReason, ClosingScope, DisplayName, Draft, Move, Order, OrderId,
        OrderState, OrdersPerSlot, PagePosition, PendingOrders, Placed, Rejection, Standing,
        StoreChange, StoreClosing, StoreState, Verdict,
    },
    error::OrderIntakeError,
};

const CODE: &str = "0123456789ABCDEF";
/// As many as no test has, unless it is about them.
const ORDERS_TO_COME: u16 = 1_000;
const OTHER_CODE: &str = "FEDCBA9876543210";
const WAITING_FOR_LOCK: &str =
    "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// A store over a database of its own, with one lane, and the shop `s-1` in it.
struct Fixture {
    store: Store,
    lane: Lane,
    database: TestDatabase,
}

impl Fixture {
    async fn start() -> Self {
        let database = TestDatabase::create().await;
        let lanes = Lanes::new(1u16).unwrap();
        let opened = open(&database);
        opened.check_durability().await.unwrap();
        opened.migrate(&migrations()).await.unwrap();
        opened.fix_lanes(lanes).await.unwrap();
        let store = process(&opened, lanes, ORDERS_TO_COME);
        let lane = lanes.lane(0).unwrap();
        let fixture = Self {
            store,
            lane,
            database,
        };
        fixture.upsert(shop("s-1")).await;
        fixture
    }

    /// A second process at the same database.
    fn other_replica(&self) -> Store {
        self.with_orders_to_come(ORDERS_TO_COME)
    }

    /// A process at the same database in which a shopper may have this many orders to come.
    fn with_orders_to_come(&self, orders_to_come: u16) -> Store {
        process(&open(&self.database), self.store.lanes(), orders_to_come)
    }

    async fn place(&self, draft: &Draft) -> Result<Placed, OrderIntakeError> {
        place_at(&self.store, draft, Verdict::True).await
    }

    async fn placed(&self, draft: &Draft) -> Order {
        placed_at(&self.store, draft.clone()).await
    }

    async fn moved(&self, order: &Order, asked: Move) -> Result<Standing, OrderIntakeError> {
        move_at(&self.store, order, asked, None).await
    }

    async fn settle(&self, order: &Order, outcome: Move) -> OrderState {
        self.moved(order, outcome).await.unwrap().state
    }

    async fn upsert(&self, store: StoreChange) {
        self.upsert_all(vec![store]).await;
    }

    /// How many of them are new.
    async fn upsert_all(&self, stores: Vec<StoreChange>) -> usize {
        let upserted = self.store.upsert_stores(stores, None, Timestamp::now_utc());
        upserted.await.unwrap()
    }

    /// Orders of alice's with a coupon each, by their numbers from 0 on.
    async fn orders(&self, count: usize) -> Vec<Order> {
        let mut orders = Vec::new();
        for number in 0..count {
            orders.push(self.placed(&numbered(number)).await);
        }
        orders
    }

    /// The order as its shopper reads it.
    async fn read(&self, order: &Order) -> Result<Order, OrderIntakeError> {
        let order_id = order.standing.order_id;
        self.store.get_order(&order.draft.shopper, order_id).await
    }

    /// Opens a store or, for a reason, closes it.
    async fn set_state(&self, store: &str, because: Option<&str>) {
        let state = match because {
            Some(because) => StoreState::Closed(ClosingReason::parse(because).ok()),
            None => StoreState::Open,
        };
        let id = store_id(store);
        let (store, now) = (&self.store, Timestamp::now_utc());
        let set = store.set_store_state(&id, &state, None, now).await;
        assert_eq!(set.unwrap().state, state);
    }

    /// Orders whose coupons are still to be given back.
    async fn owing(&self) -> Vec<OrderId> {
        let (lane, oldest) = (self.lane, PagePosition::OLDEST);
        let owing = self.store.unreleased_orders(lane, oldest, 500).await;
        let owing = owing.unwrap().into_iter();
        owing.map(|order| order.standing.order_id).collect()
    }

    async fn note_release(&self, order: &Order) -> Standing {
        let noted = self.store.note_release(order, soon());
        noted.await.unwrap()
    }

    async fn count(&self, of: &str) -> i64 {
        self.database
            .number(&format!("SELECT count(*) FROM {of}"))
            .await
    }

    /// Places that are booked at all stores.
    async fn booked(&self) -> i64 {
        let booked = "SELECT coalesce(sum(booked), 0)::bigint FROM store_slots";
        self.database.number(booked).await
    }

    /// Connections of somebody else's.
    fn by_hand(&self) -> PgPool {
        open(&self.database).pool(4)
    }
}

fn open(database: &TestDatabase) -> Database {
    Database::parse(&database.url(), "store test").unwrap()
}

/// What a process has of a database.
fn process(database: &Database, lanes: Lanes, orders_to_come: u16) -> Store {
    let metrics = QueueMetrics::register(&mut Registry::default());
    let closing = CancellationToken::new();
    let (store, writers) = Store::new(database, lanes, orders_to_come, &metrics, &closing);
    writers.into_iter().for_each(|(_, writer)| {
        tokio::spawn(writer);
    });
    store
}

async fn place_at(store: &Store, draft: &Draft, code: Verdict) -> Result<Placed, OrderIntakeError> {
    place_as(store, OrderId(Uuid::now_v7()), draft, code).await
}

async fn place_as(
    store: &Store,
    order_id: OrderId,
    draft: &Draft,
    code: Verdict,
) -> Result<Placed, OrderIntakeError> {
    let draft = Arc::new(draft.clone());
    store.place(order_id, draft, code, soon()).await
}

async fn placed_at(store: &Store, draft: Draft) -> Order {
    let placed = place_at(store, &draft, Verdict::True).await.unwrap();
    order_of(draft, placed)
}

fn order_of(draft: Draft, placed: Placed) -> Order {
    Order {
        draft: Arc::new(draft),
        standing: placed.standing,
    }
}

async fn move_at(
    store: &Store,
    order: &Order,
    asked: Move,
    by: Option<Actor>,
) -> Result<Standing, OrderIntakeError> {
    let by = by.map(Arc::new);
    store.move_order(order, asked, by, soon()).await
}

/// Far enough away for any machine; nothing here waits for it.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A shop that takes whatever comes.
fn shop(id: &str) -> StoreChange {
    shop_of(id, 10_000)
}

fn shop_of(id: &str, orders_per_slot: u16) -> StoreChange {
    StoreChange {
        id: StoreId::parse(id).unwrap(),
        display_name: DisplayName::parse("奶茶 No. 1").unwrap(),
        area: Area::parse("west").unwrap(),
        zone: None,
        hours: None,
        slot_minutes: None,
        orders_per_slot: Some(OrdersPerSlot::new(orders_per_slot).unwrap()),
        is_closed: None,
    }
}

/// One like it in another part of town.
fn east(id: &str) -> StoreChange {
    StoreChange {
        area: area("east"),
        ..shop(id)
    }
}

/// All stores of the west are closed, since there are no cups.
fn closing(request_id: &str, pending_orders: PendingOrders) -> StoreClosing {
    StoreClosing {
        request_id: RequestId::parse(request_id).unwrap(),
        scope: ClosingScope::Area(area("west")),
        reason: ClosingReason::parse("out of cups").unwrap(),
        pending_orders,
    }
}

fn draft(shopper: &str, request_id: &str) -> Draft {
    Draft {
        shopper: ShopperId::parse(shopper).unwrap(),
        request_id: RequestId::parse(request_id).unwrap(),
        latest_acceptable_at: Some(time::macros::datetime!(2126-02-06 12:30:00.123456 UTC)),
        ..Draft::sample()
    }
}

/// A draft of alice's with a coupon of its own.
fn numbered(number: usize) -> Draft {
    let draft = draft("alice", &format!("r-{number}"));
    with_code(draft, &format!("{number:016}"))
}

fn at_store(store: &str, draft: Draft) -> Draft {
    Draft {
        store: store_id(store),
        ..draft
    }
}

fn store_id(text: &str) -> StoreId {
    StoreId::parse(text).unwrap()
}

fn area(text: &str) -> Area {
    Area::parse(text).unwrap()
}

fn with_code(draft: Draft, code: &str) -> Draft {
    Draft {
        coupon_code: CouponCode::parse(code).unwrap(),
        ..draft
    }
}

fn rejected_by(order: &Order) -> OrderState {
    OrderState::Rejected(Rejection::coupon_redeemed(order.standing.order_id))
}

/// The outcome of an order whose coupon paid for another one.
fn reject_for(order: &Order) -> Move {
    Move::Reject(Rejection::coupon_redeemed(order.standing.order_id))
}

/// The outcome of an order whose coupon is refused.
fn reject_because(reason: Reason) -> Move {
    Move::Reject(Rejection::of(Refusal::never(reason)).unwrap())
}

/// The outcome of an order whose coupon takes off ten yuan.
fn accept() -> Move {
    let money = |minor_units| Money {
        currency: CurrencyCode::parse("CNY").unwrap(),
        minor_units,
    };
    Move::Accept(Bill::with_coupon(money(3_750), money(1_000)).unwrap())
}

#[tokio::test]
async fn several_processes_that_migrate_at_once_take_turns() {
    let database = TestDatabase::create().await;
    let migrating = (0..4).map(|_| {
        let opened = open(&database);
        async move { opened.migrate(&migrations()).await }
    });
    for migrated in join_all(migrating).await {
        migrated.unwrap();
    }
}
