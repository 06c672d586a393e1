use std::collections::{BTreeSet, HashMap};

use sqlx::{FromRow, PgConnection};
use tidegate_types::{Lane, RequestId, ShopperId, StoreId, Timestamp};
use uuid::Uuid;

use super::change::{BusyStores, Change, LaneRules};
use crate::{
    domain::{Draft, Move, OrderId, OrderState, Rejection, Slot, Standing, Timetable, Timing},
    store::{
        lane_number,
        rows::{StandingRow, column},
        store_rows::StoreRow,
        timetables::timetables,
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

#[derive(FromRow)]
struct EarlierRow {
    shopper_id: String,
    request_id: String,
    is_same: bool,
    #[sqlx(flatten)]
    standing: StandingRow,
}

#[derive(FromRow)]
struct MovedRow {
    paid_order_id: Option<Uuid>,
    #[sqlx(flatten)]
    standing: StandingRow,
}

#[derive(FromRow)]
struct ToComeRow {
    shopper_id: String,
    orders: i64,
}

#[derive(FromRow)]
struct WantedRow {
    wanted_id: String,
    is_there: bool,
    /// Unset if the row could not be locked.
    store_id: Option<String>,
}

impl Known {
    pub(super) async fn read(
        connection: &mut PgConnection,
        rules: &LaneRules,
        changes: &[&Change],
        now: Timestamp,
    ) -> Result<Self, sqlx::Error> {
        let lane = rules.lane;
        let mut known = Self {
            earlier: find_earlier(connection, lane, changes).await?,
            moved: lock_moved(connection, lane, changes).await?,
            stores: HashMap::new(),
            to_come: HashMap::new(),
        };
        let new_of: BTreeSet<&ShopperId> = changes
            .iter()
            .filter_map(|change| known.new_draft(change))
            .map(|draft| &draft.shopper)
            .collect();
        if !new_of.is_empty() {
            let limit = rules.orders_to_come;
            known.to_come = count_to_come(connection, lane, &new_of, limit, now).await?;
        }
        let needing = || {
            let needed = |change| Some((known.needs_store(change, now)?, change));
            changes.iter().copied().filter_map(needed)
        };
        let wanted: BTreeSet<&StoreId> = needing().map(|(store, _)| store).collect();
        if !wanted.is_empty() {
            let given_back = known.given_back(needing().map(|(_, change)| change));
            let busy_stores = rules.busy_stores;
            known.stores = lock_stores(connection, busy_stores, &wanted, (now, given_back)).await?;
        }
        Ok(known)
    }

    /// A draft that is to become an order now.
    fn new_draft<'a>(&self, change: &'a Change) -> Option<&'a Draft> {
        let Change::Place(placement) = change else {
            return None;
        };
        let draft = &*placement.draft;
        let key = (draft.shopper.clone(), draft.request_id.clone());
        let is_new = placement.code.may_book() && !self.earlier.contains_key(&key);
        is_new.then_some(draft)
    }

    /// When the first and the last slot begin in which these changes, which need their stores, may
    /// give a place back.
    fn given_back<'a>(
        &self,
        changes: impl Iterator<Item = &'a Change>,
    ) -> Option<(Timestamp, Timestamp)> {
        let slot = |change: &Change| match change {
            Change::Move(movement, _) => self.moved.get(&movement.order_id)?.standing.slot,
            Change::Place(_) | Change::Released(_) => None,
        };
        let starts_at = |slot: Slot| {
            let starts_at = slot.starts_at();
            (starts_at, starts_at)
        };
        let widest =
            |(first, last): (Timestamp, Timestamp), (from, to)| (first.min(from), last.max(to));
        changes.filter_map(slot).map(starts_at).reduce(widest)
    }

    /// The store whose slots the change may touch: to book, or to give back.
    fn needs_store<'a>(&self, change: &'a Change, now: Timestamp) -> Option<&'a StoreId> {
        match change {
            Change::Place(_) => self.new_draft(change).map(|draft| &draft.store),
            Change::Move(movement, asked) => {
                let order = self.moved.get(&movement.order_id)?;
                let gives_back = match asked {
                    // An acceptance becomes a rejection if the coupon has paid for another order,
                    // or if it comes too late; or it comes with another slot.
                    Move::Accept(_) => {
                        let slot = order.standing.slot;
                        let timing = Timing::of(&movement.draft, slot, now);
                        order.paid.is_some() || timing != Timing::InTime
                    }
                    Move::Reject(_) | Move::Cancel | Move::Fail(_) | Move::CloseStore { .. } => {
                        true
                    }
                    Move::Prepare | Move::MakeReady | Move::Complete => false,
                };
                let is_open = !order.standing.state.is_final();
                (gives_back && is_open).then_some(&movement.draft.store)
            }
            Change::Released(_) => None,
        }
    }
}

async fn find_earlier(
    connection: &mut PgConnection,
    lane: Lane,
    changes: &[&Change],
) -> Result<HashMap<(ShopperId, RequestId), Earlier>, sqlx::Error> {
    let (mut shoppers, mut requests, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        if let Change::Place(placement) = change {
            shoppers.push(placement.draft.shopper.as_str());
            requests.push(placement.draft.request_id.as_str());
            hashes.push(placement.draft.content_hash().to_vec());
        }
    }
    if shoppers.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query_as(include_str!("../../../queries/find_earlier_orders.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(requests)
        .bind(hashes);
    let rows: Vec<EarlierRow> = query.fetch_all(connection).await?;
    let entry = |row: EarlierRow| {
        let shopper = column("shopper_id", ShopperId::parse(&row.shopper_id))?;
        let request_id = column("request_id", RequestId::parse(&row.request_id))?;
        let earlier = Earlier {
            standing: row.standing.into_standing()?,
            is_same: row.is_same,
        };
        Ok(((shopper, request_id), earlier))
    };
    rows.into_iter().map(entry).collect()
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
        .bind(i64::from(limit) + GIVEN_UP_AT_MOST);
    let rows: Vec<ToComeRow> = query.fetch_all(connection).await?;
    let entry = |row: ToComeRow| {
        let shopper = column("shopper_id", ShopperId::parse(&row.shopper_id))?;
        Ok((shopper, column("orders", u16::try_from(row.orders))?))
    };
    rows.into_iter().map(entry).collect()
}

async fn lock_moved(
    connection: &mut PgConnection,
    lane: Lane,
    changes: &[&Change],
) -> Result<HashMap<OrderId, MovedOrder>, sqlx::Error> {
    let (mut order_ids, mut shoppers, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        if let Change::Move(movement, _) | Change::Released(movement) = change {
            order_ids.push(movement.order_id.0);
            shoppers.push(movement.draft.shopper.as_str());
            codes.push(movement.draft.coupon_code.reveal());
        }
    }
    if order_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query_as(include_str!("../../../queries/lock_orders.sql"))
        .bind(lane_number(lane))
        .bind(order_ids)
        .bind(shoppers)
        .bind(codes);
    let rows: Vec<MovedRow> = query.fetch_all(connection).await?;
    let entry = |row: MovedRow| {
        let standing = row.standing.into_standing()?;
        let paid = row
            .paid_order_id
            .map(OrderId)
            .filter(|paid| *paid != standing.order_id);
        Ok((standing.order_id, MovedOrder { standing, paid }))
    };
    rows.into_iter().map(entry).collect()
}

async fn lock_stores(
    connection: &mut PgConnection,
    busy_stores: BusyStores,
    wanted: &BTreeSet<&StoreId>,
    (now, given_back): (Timestamp, Option<(Timestamp, Timestamp)>),
) -> Result<HashMap<StoreId, Found>, sqlx::Error> {
    let statement = match busy_stores {
        BusyStores::LeaveOut => include_str!("../../../queries/lock_free_stores.sql"),
        BusyStores::WaitFor => include_str!("../../../queries/lock_stores.sql"),
    };
    let ids: Vec<&str> = wanted.iter().map(|id| id.as_str()).collect();
    let rows = sqlx::query(statement)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    let (mut found, mut locked) = (HashMap::new(), Vec::new());
    for row in &rows {
        let wanted = WantedRow::from_row(row)?;
        let id = column("store_id", StoreId::parse(&wanted.wanted_id))?;
        if wanted.store_id.is_some() {
            match StoreRow::from_row(row)?.into_store() {
                Ok(store) => locked.push(store),
                Err(error) => {
                    tracing::error!(store = id.as_str(), %error, "the row of a store cannot be read; its orders are refused or stay as they are until it is mended");
                    found.insert(id, Found::Unreadable);
                }
            }
        } else if wanted.is_there {
            found.insert(id, Found::Busy);
        } else {
            found.insert(id, Found::Missing);
        }
    }
    for timetable in timetables(connection, locked, now, given_back).await? {
        let id = timetable.store().id.clone();
        found.insert(id, Found::Locked(Box::new(timetable)));
    }
    Ok(found)
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
