use std::collections::{BTreeSet, HashMap};

use sqlx::{FromRow as _, PgConnection, Row as _, postgres::PgRow};
use tidegate_types::{Lane, RequestId, ShopperId, StoreId, Timestamp};

use super::{Asked, BusyStores, Change, Commits};
use crate::{
    domain::{Draft, Move, OrderId, OrderState, Rejection, Slot, Standing, Timetable, Timing},
    store::{
        lane_number,
        rows::{column, each, text},
        store_rows::{StoreRow, timetables},
    },
};

/// A shopper's latest orders that are looked at beyond those that may be to come.
const GIVEN_UP_AT_MOST: i64 = 1_000;

/// What a batch finds: orders by key, and the stores it may book at. Orders that are to be moved
/// and stores are locked.
pub(super) struct Known {
    pub(super) earlier: HashMap<(ShopperId, RequestId), Earlier>,
    pub(super) moved: HashMap<OrderId, MovedOrder>,
    pub(super) stores: HashMap<StoreId, Found>,
    /// The versions of those that are locked.
    pub(super) versions: HashMap<StoreId, i64>,
    /// How many orders shoppers of new ones have that are still to be made.
    pub(super) to_come: HashMap<ShopperId, u16>,
}

/// The order that an earlier request with the same key made.
pub(super) struct Earlier {
    pub(super) standing: Standing,
    pub(super) is_same: bool,
}

pub(super) struct MovedOrder {
    pub(super) standing: Standing,
    /// Another order that the coupon has paid for.
    pub(super) paid: Option<OrderId>,
}

pub(super) enum Found {
    Locked(Box<Timetable>),
    Busy,
    /// Its row makes no sense, as the log says: whatever needs it is refused, and nothing else.
    Unreadable,
    Missing,
}

impl Known {
    pub(super) async fn read(
        connection: &mut PgConnection,
        rules: &Commits,
        changes: &[&Change],
        now: Timestamp,
    ) -> Result<Self, sqlx::Error> {
        let lane = rules.lane;
        let mut known = Self {
            earlier: find_earlier(connection, lane, changes).await?,
            moved: lock_moved(connection, lane, changes).await?,
            stores: HashMap::new(),
            versions: HashMap::new(),
            to_come: HashMap::new(),
        };
        let new = changes.iter().filter_map(|change| known.new_draft(change));
        let new_of: BTreeSet<&ShopperId> = new.map(|draft| &draft.shopper).collect();
        if !new_of.is_empty() {
            let limit = rules.orders_to_come;
            known.to_come = count_to_come(connection, lane, &new_of, limit, now).await?;
        }
        let needing = changes
            .iter()
            .filter(|change| known.needs_store(change, now));
        let (wanted, given_back): (BTreeSet<&StoreId>, Vec<_>) = needing
            .map(|change| (&change.draft.store, known.slot_to_give_back(change)))
            .unzip();
        if !wanted.is_empty() {
            let busy_stores = rules.busy_stores;
            let span = Timetable::span(now, given_back.into_iter().flatten());
            (known.stores, known.versions) =
                lock_stores(connection, busy_stores, &wanted, (now, span)).await?;
        }
        Ok(known)
    }

    /// A draft that is to become an order now.
    fn new_draft<'a>(&self, change: &'a Change) -> Option<&'a Draft> {
        let Asked::Place { code, .. } = &change.asked else {
            return None;
        };
        let is_new = code.may_book() && !self.earlier.contains_key(&change.draft.key());
        is_new.then_some(&*change.draft)
    }

    /// A slot in which a change that needs its store may give a place back.
    fn slot_to_give_back(&self, change: &Change) -> Option<Slot> {
        match change.asked {
            Asked::Move { .. } => Some(self.moved.get(&change.order_id)?.standing.slot),
            Asked::Place { .. } | Asked::Released => None,
        }
    }

    /// Whether the change may touch slots of its store: to book, or to give back.
    fn needs_store(&self, change: &Change, now: Timestamp) -> bool {
        let asked = match &change.asked {
            Asked::Place { .. } => return self.new_draft(change).is_some(),
            Asked::Move { step, .. } => step,
            Asked::Released => return false,
        };
        let Some(order) = self.moved.get(&change.order_id) else {
            return false;
        };
        let gives_back = match asked {
            // An acceptance becomes a rejection if the coupon has paid for another order, or if it
            // comes too late; or it comes with another slot.
            Move::Accept(_) => {
                let timing = Timing::of(&change.draft, order.standing.slot, now);
                order.paid.is_some() || timing != Timing::InTime
            }
            Move::Reject(_) | Move::Cancel | Move::Fail(_) | Move::CloseStore { .. } => true,
            Move::Prepare | Move::MakeReady | Move::Complete => false,
        };
        gives_back && !order.standing.state.is_final()
    }
}

async fn find_earlier(
    connection: &mut PgConnection,
    lane: Lane,
    changes: &[&Change],
) -> Result<HashMap<(ShopperId, RequestId), Earlier>, sqlx::Error> {
    let placed = changes.iter().filter(|change| change.places());
    let placed: Vec<_> = placed.map(|change| &*change.draft).collect();
    if placed.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query(include_str!("../../../queries/find_earlier_orders.sql"))
        .bind(lane_number(lane))
        .bind(each(&placed, |draft| draft.shopper.as_str()))
        .bind(each(&placed, |draft| draft.request_id.as_str()))
        .bind(each(&placed, |draft| draft.content_hash()));
    let rows = query.fetch_all(connection).await?;
    let entry = |row: &PgRow| {
        let shopper = text(row, "shopper_id", ShopperId::parse)?;
        let request_id = text(row, "request_id", RequestId::parse)?;
        let earlier = Earlier {
            standing: Standing::from_row(row)?,
            is_same: row.try_get("is_same")?,
        };
        Ok(((shopper, request_id), earlier))
    };
    rows.iter().map(entry).collect()
}

/// How many orders these shoppers have that are still to be made. Whoever gives orders up again and
/// again is counted a little short, and never costs more than that many rows.
async fn count_to_come(
    connection: &mut PgConnection,
    lane: Lane,
    shoppers: &BTreeSet<&ShopperId>,
    limit: u16,
    now: Timestamp,
) -> Result<HashMap<ShopperId, u16>, sqlx::Error> {
    let shoppers: Vec<&str> = shoppers.iter().map(|shopper| shopper.as_str()).collect();
    let query = sqlx::query_as(include_str!("../../../queries/count_orders_to_come.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(now)
        .bind(orders_looked_at(limit));
    let rows: Vec<(String, i64)> = query.fetch_all(connection).await?;
    let entry = |(shopper, orders): (String, i64)| {
        let shopper = column("shopper_id", ShopperId::parse(shopper))?;
        Ok((shopper, column("orders", u16::try_from(orders))?))
    };
    rows.into_iter().map(entry).collect()
}

/// How many of a shopper's latest orders are looked at.
pub(super) fn orders_looked_at(limit: u16) -> i64 {
    i64::from(limit) + GIVEN_UP_AT_MOST
}

async fn lock_moved(
    connection: &mut PgConnection,
    lane: Lane,
    changes: &[&Change],
) -> Result<HashMap<OrderId, MovedOrder>, sqlx::Error> {
    let moved = changes.iter().filter(|change| !change.places());
    let moved: Vec<_> = moved.collect();
    if moved.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query(include_str!("../../../queries/lock_orders.sql"))
        .bind(lane_number(lane))
        .bind(each(&moved, |change| change.order_id.0))
        .bind(each(&moved, |change| change.draft.shopper.as_str()))
        .bind(each(&moved, |change| change.draft.coupon_code.reveal()));
    let rows = query.fetch_all(connection).await?;
    let entry = |row: &PgRow| {
        let standing = Standing::from_row(row)?;
        let paid = row.try_get::<Option<_>, _>("paid_order_id")?.map(OrderId);
        let paid = paid.filter(|paid| *paid != standing.order_id);
        Ok((standing.order_id, MovedOrder { standing, paid }))
    };
    rows.iter().map(entry).collect()
}

async fn lock_stores(
    connection: &mut PgConnection,
    busy_stores: BusyStores,
    wanted: &BTreeSet<&StoreId>,
    (now, span): (Timestamp, (Timestamp, Timestamp)),
) -> Result<(HashMap<StoreId, Found>, HashMap<StoreId, i64>), sqlx::Error> {
    let statement = match busy_stores {
        BusyStores::LeaveOut => include_str!("../../../queries/lock_free_stores.sql"),
        BusyStores::WaitFor => include_str!("../../../queries/lock_stores.sql"),
    };
    let ids: Vec<&str> = wanted.iter().map(|id| id.as_str()).collect();
    let query = sqlx::query(statement).bind(ids);
    let rows = query.fetch_all(&mut *connection).await?;
    let (mut found, mut versions, mut locked) = (HashMap::new(), HashMap::new(), Vec::new());
    for row in &rows {
        let id = text(row, "wanted_id", StoreId::parse)?;
        // Unset if the row could not be locked.
        let locked_id: Option<&str> = row.try_get("store_id")?;
        if locked_id.is_some() {
            match StoreRow::from_row(row)?.into_store() {
                Ok(store) => {
                    versions.insert(id, row.try_get("version")?);
                    locked.push(store);
                }
                Err(error) => {
                    tracing::error!(store = id.as_str(), %error, "the row of a store cannot be read; its orders are refused or stay as they are until it is mended");
                    found.insert(id, Found::Unreadable);
                }
            }
        } else if row.try_get("is_there")? {
            found.insert(id, Found::Busy);
        } else {
            found.insert(id, Found::Missing);
        }
    }
    for timetable in timetables(connection, locked, now, span).await? {
        let id = timetable.store().id.clone();
        found.insert(id, Found::Locked(Box::new(timetable)));
    }
    Ok((found, versions))
}

impl MovedOrder {
    /// What is to become of the order: an acceptance is a rejection if the coupon has paid for
    /// another order, before or in this batch.
    pub(super) fn fair(&self, asked: &Move, paid_here: Option<OrderId>) -> Move {
        match (asked, &self.standing.state, self.paid.or(paid_here)) {
            (Move::Accept(_), OrderState::Pending, Some(paid))
                if paid != self.standing.order_id =>
            {
                Move::Reject(Rejection::coupon_redeemed(paid))
            }
            _ => asked.clone(),
        }
    }
}
