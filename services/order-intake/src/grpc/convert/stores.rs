//! Stores of the contract, to and from the domain.

use std::collections::HashSet;

use tidegate_proto::order_intake::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{Area, ChangeQuery, ChangeReason, RequestId, StoreId, Violations};

use super::{at_most, checked, given};
use crate::{
    domain::{
        Closed, ClosingReason, ClosingScope, Day, DisplayName, MinuteOfDay, OpeningHours,
        OrderAudit, OrdersPerSlot, PageSize, PendingOrders, SlotMinutes, Store, StoreChange,
        StoreClosing, StoreState, StoreZone, StoresQuery, Weekday, WeeklyHours,
    },
    error::{OrderIntakeError, Result},
};

const MAX_STORES: usize = 1_000;
/// Stretches a week at most: four a day.
const MAX_WEEKLY: usize = 28;
/// A year's days, and some of the next.
const MAX_CLOSED_DAYS: usize = 400;

pub(in crate::grpc) fn audited(audit: OrderAudit) -> proto::AuditOrdersResponse {
    proto::AuditOrdersResponse {
        slots: audit.slots,
        slots_from: audit.slots_from.map(wire::timestamp),
        slots_over_capacity: audit.slots_over_capacity,
        slots_booked_otherwise: audit.slots_booked_otherwise,
        orders: audit.orders,
        orders_paid_twice: audit.orders_paid_twice,
        is_complete: audit.is_complete,
        orders_without_coupon: audit.orders_without_coupon,
        coupons_not_given_back: audit.coupons_not_given_back,
    }
}

/// The stores of one message, and why they change.
pub(in crate::grpc) fn changes(
    request: proto::UpsertStoresRequest,
) -> Result<(Vec<StoreChange>, Option<ChangeReason>)> {
    checked(|bad| {
        if !(1..=MAX_STORES).contains(&request.stores.len()) {
            bad.add("stores", format!("must be 1 to {MAX_STORES}"));
            return None;
        }
        let (mut ids, mut changes) = (HashSet::new(), Vec::new());
        for (at, store) in request.stores.iter().enumerate() {
            let Some(change) = change(bad, at, store) else {
                continue;
            };
            if !ids.insert(change.id.clone()) {
                bad.add(format!("stores[{at}].store_id"), "must not be there twice");
            }
            changes.push(change);
        }
        let reason = bad.check("reason", given(&request.reason, ChangeReason::parse))?;
        Some((changes, reason))
    })
}

fn change(bad: &mut Violations, at: usize, store: &proto::Store) -> Option<StoreChange> {
    let field = |name: &str| format!("stores[{at}].{name}");
    let id = bad.check(field("store_id"), StoreId::parse(&store.store_id));
    let name = DisplayName::parse(&store.display_name);
    let display_name = bad.check(field("display_name"), name);
    let area = bad.check(field("area"), Area::parse(&store.area));
    let zone = given(&store.time_zone, StoreZone::parse);
    let zone = bad.check(field("time_zone"), zone);
    let hours = store.opening_hours.as_ref();
    let hours = hours.map(|hours| opening_hours(bad, &field("opening_hours"), hours));
    let slot_minutes = store.slot_minutes.map(SlotMinutes::new).transpose();
    let slot_minutes = bad.check(field("slot_minutes"), slot_minutes);
    let orders_per_slot = store.orders_per_slot.map(OrdersPerSlot::new).transpose();
    let orders_per_slot = bad.check(field("orders_per_slot"), orders_per_slot);
    let is_closed = bad.check(field("state"), is_closed(store.state));
    Some(StoreChange {
        id: id?,
        display_name: display_name?,
        area: area?,
        zone: zone?,
        hours,
        slot_minutes: slot_minutes?,
        orders_per_slot: orders_per_slot?,
        is_closed: is_closed?,
    })
}

fn is_closed(state: i32) -> Result<Option<bool>, &'static str> {
    match proto::StoreState::try_from(state) {
        Ok(proto::StoreState::Unspecified) => Ok(None),
        Ok(proto::StoreState::Open) => Ok(Some(false)),
        Ok(proto::StoreState::Closed) => Ok(Some(true)),
        Err(_) => Err("must be a known state"),
    }
}

/// A bad one is noted, so that the message is refused.
fn opening_hours(bad: &mut Violations, field: &str, hours: &proto::OpeningHours) -> OpeningHours {
    let (weekly, closed_days) = (&hours.weekly, &hours.closed_days);
    let few = at_most(bad, format!("{field}.weekly"), weekly.len(), MAX_WEEKLY);
    let days = format!("{field}.closed_days");
    let few_days = at_most(bad, &days, closed_days.len(), MAX_CLOSED_DAYS);
    if !few || !few_days {
        return OpeningHours::default();
    }
    let (mut read, mut read_days) = (Vec::new(), Vec::new());
    for (at, hours) in weekly.iter().enumerate() {
        read.extend(weekly_hours(bad, &format!("{field}.weekly[{at}]"), hours));
    }
    for (at, day) in closed_days.iter().enumerate() {
        read_days.extend(bad.check(format_args!("{days}[{at}]"), Day::parse(day)));
    }
    OpeningHours::new(read, read_days)
}

fn weekly_hours(
    bad: &mut Violations,
    field: &str,
    hours: &proto::WeeklyHours,
) -> Option<WeeklyHours> {
    let weekday = bad.check(format_args!("{field}.weekday"), Weekday::new(hours.weekday));
    let mut minute = |name: &str, minute: u32| {
        bad.check(format_args!("{field}.{name}"), MinuteOfDay::new(minute))
    };
    let opens_at = minute("opens_at_minute", hours.opens_at_minute);
    let closes_at = minute("closes_at_minute", hours.closes_at_minute);
    Some(WeeklyHours {
        weekday: weekday?,
        opens_at: opens_at?,
        closes_at: closes_at?,
    })
}

/// Which stores are to be closed, and what becomes of their orders.
pub(in crate::grpc) fn closing(request: proto::CloseStoresRequest) -> Result<StoreClosing> {
    use proto::close_stores_request::Stores;

    checked(|bad| {
        let request_id = bad.check("request_id", RequestId::parse(&request.request_id));
        let reason = bad.check("reason", ClosingReason::parse(&request.reason));
        let pending_orders = match request.pending_orders() {
            proto::PendingOrders::Keep => Ok(PendingOrders::Keep),
            proto::PendingOrders::Fail => Ok(PendingOrders::Fail),
            proto::PendingOrders::Unspecified => Err("must be KEEP or FAIL"),
        };
        let pending_orders = bad.check("pending_orders", pending_orders);
        let scope = match &request.stores {
            Some(Stores::StoreId(id)) => bad
                .check("store_id", StoreId::parse(id))
                .map(ClosingScope::Store),
            Some(Stores::Area(area)) => {
                bad.check("area", Area::parse(area)).map(ClosingScope::Area)
            }
            None => bad.check("stores", Err("must be a store_id or an area")),
        };
        Some(StoreClosing {
            request_id: request_id?,
            scope: scope?,
            reason: reason?,
            pending_orders: pending_orders?,
        })
    })
}

pub(in crate::grpc) fn closed(closed: Closed) -> proto::CloseStoresResponse {
    proto::CloseStoresResponse {
        stores_closed: closed.stores,
        orders_failed: closed.orders_failed,
        orders_rejected: closed.orders_rejected,
        is_done: closed.finished_at.is_some(),
    }
}

/// Which store is to be opened or closed, and why it is opened.
pub(in crate::grpc) fn state_change(
    request: proto::SetStoreStateRequest,
) -> Result<(StoreId, StoreState, Option<ChangeReason>)> {
    checked(|bad| {
        let id = bad.check("store_id", StoreId::parse(&request.store_id));
        let (state, reason) = match request.state() {
            proto::StoreState::Open => {
                let reason = bad.check("reason", given(&request.reason, ChangeReason::parse));
                (StoreState::Open, reason?)
            }
            proto::StoreState::Closed => {
                let because = bad.check("reason", ClosingReason::parse(&request.reason));
                (StoreState::Closed(Some(because?)), None)
            }
            proto::StoreState::Unspecified => bad.check("state", Err("must be OPEN or CLOSED"))?,
        };
        Some((id?, state, reason))
    })
}

pub(in crate::grpc) fn id(text: &str) -> Result<StoreId> {
    checked(|bad| bad.check("store_id", StoreId::parse(text)))
}

pub(in crate::grpc) fn stores_query(request: &proto::ListStoresRequest) -> Result<StoresQuery> {
    checked(|bad| {
        let area = bad.check("area", given(&request.area, Area::parse));
        let is_closed = bad.check("state", is_closed(request.state));
        let size = bad.check("page_size", PageSize::new(request.page_size));
        // A page's place is the store that it ended with.
        let after = given(&request.page_token, StoreId::parse)
            .map_err(|_| "must be empty or the next_page_token of an earlier page");
        let after = bad.check("page_token", after);
        Some(StoresQuery {
            area: area?,
            is_closed: is_closed?,
            after: after?,
            size: size?,
        })
    })
}

pub(in crate::grpc) fn change_query(request: proto::ListChangesRequest) -> Result<ChangeQuery> {
    let (filter, size, token) = (request.filter, request.page_size, request.page_token);
    wire::change_query(filter, size, &token).map_err(OrderIntakeError::InvalidFields)
}

pub(in crate::grpc) fn store(store: Store) -> proto::Store {
    let (state, because) = match store.state {
        StoreState::Open => (proto::StoreState::Open, None),
        StoreState::Closed(because) => (proto::StoreState::Closed, because),
    };
    let weekly = |hours: WeeklyHours| proto::WeeklyHours {
        weekday: hours.weekday.get().into(),
        opens_at_minute: hours.opens_at.get().into(),
        closes_at_minute: hours.closes_at.get().into(),
    };
    let closed_days = store.hours.closed_days();
    proto::Store {
        store_id: store.id.as_str().to_owned(),
        display_name: store.display_name.as_str().to_owned(),
        area: store.area.as_str().to_owned(),
        opening_hours: Some(proto::OpeningHours {
            weekly: store.hours.weekly().map(weekly).collect(),
            closed_days: closed_days.map(|day| day.to_string()).collect(),
        }),
        slot_minutes: Some(store.slot_minutes.get().into()),
        orders_per_slot: Some(store.orders_per_slot.get().into()),
        state: state.into(),
        closed_because: because.map_or(String::new(), |because| because.as_str().to_owned()),
        time_zone: store.zone.name().to_owned(),
    }
}

pub(in crate::grpc) fn upserted(count: usize, created: usize) -> proto::UpsertStoresResponse {
    // There are at most 1,000 stores in a message.
    let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    proto::UpsertStoresResponse {
        created: counted(created),
        updated: counted(count.saturating_sub(created)),
    }
}
