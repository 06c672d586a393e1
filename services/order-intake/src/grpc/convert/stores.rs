//! Stores of the contract, to and from the domain.

use std::collections::HashSet;

use tidegate_proto::order_intake::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{ChangeReason, RequestId, StoreId, Violations};

use crate::{
    domain::{
        Area, Closed, ClosingReason, ClosingScope, Day, DisplayName, MinuteOfDay, OpeningHours,
        OrderAudit, OrdersPerSlot, PendingOrders, SlotMinutes, Store, StoreChange, StoreClosing,
        StoreState, StoreZone, Weekday, WeeklyHours,
    },
    error::OrderIntakeError,
};

const MAX_STORES: usize = 1_000;

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
) -> Result<(Vec<StoreChange>, Option<ChangeReason>), OrderIntakeError> {
    let mut violations = Violations::default();
    if !(1..=MAX_STORES).contains(&request.stores.len()) {
        violations.add("stores", format!("must be 1 to {MAX_STORES}"));
        return Err(OrderIntakeError::InvalidFields(violations));
    }
    let (mut ids, mut changes) = (HashSet::new(), Vec::new());
    for (at, store) in request.stores.iter().enumerate() {
        let Some(change) = change(&mut violations, at, store) else {
            continue;
        };
        if !ids.insert(change.id.clone()) {
            violations.add(format!("stores[{at}].store_id"), "must not be there twice");
        }
        changes.push(change);
    }
    let reason = optional(&request.reason, &mut violations);
    if violations.is_empty() {
        Ok((changes, reason))
    } else {
        Err(OrderIntakeError::InvalidFields(violations))
    }
}

fn change(violations: &mut Violations, at: usize, store: &proto::Store) -> Option<StoreChange> {
    let field = |name: &str| format!("stores[{at}].{name}");
    let id = violations.check(field("store_id"), StoreId::parse(&store.store_id));
    let display_name = violations.check(
        field("display_name"),
        DisplayName::parse(&store.display_name),
    );
    let area = violations.check(field("area"), Area::parse(&store.area));
    let zone = match &*store.time_zone {
        "" => Some(None),
        name => violations
            .check(field("time_zone"), StoreZone::parse(name))
            .map(Some),
    };
    let hours = store.opening_hours.as_ref();
    let hours = hours.map(|hours| opening_hours(violations, &field("opening_hours"), hours));
    let slot_minutes = store.slot_minutes.map(SlotMinutes::new).transpose();
    let slot_minutes = violations.check(field("slot_minutes"), slot_minutes);
    let orders_per_slot = store.orders_per_slot.map(OrdersPerSlot::new).transpose();
    let orders_per_slot = violations.check(field("orders_per_slot"), orders_per_slot);
    let is_closed = match proto::StoreState::try_from(store.state) {
        Ok(proto::StoreState::Unspecified) => Some(None),
        Ok(proto::StoreState::Open) => Some(Some(false)),
        Ok(proto::StoreState::Closed) => Some(Some(true)),
        Err(_) => violations.check(field("state"), Err("must be a known state")),
    };
    Some(StoreChange {
        id: id?,
        display_name: display_name?,
        area: area?,
        zone: zone?,
        hours: match hours {
            Some(hours) => Some(hours?),
            None => None,
        },
        slot_minutes: slot_minutes?,
        orders_per_slot: orders_per_slot?,
        is_closed: is_closed?,
    })
}

fn opening_hours(
    violations: &mut Violations,
    field: &str,
    hours: &proto::OpeningHours,
) -> Option<OpeningHours> {
    let (weekly, closed_days) = (&hours.weekly, &hours.closed_days);
    let few = violations.check(
        format_args!("{field}.weekly"),
        OpeningHours::check_weekly(weekly.len()),
    );
    let few_days = violations.check(
        format_args!("{field}.closed_days"),
        OpeningHours::check_closed_days(closed_days.len()),
    );
    few.and(few_days)?;
    let weekly: Vec<_> = weekly
        .iter()
        .enumerate()
        .map(|(at, hours)| weekly_hours(violations, &format!("{field}.weekly[{at}]"), hours))
        .collect();
    let closed_days: Vec<_> = closed_days
        .iter()
        .enumerate()
        .map(|(at, day)| {
            violations.check(format_args!("{field}.closed_days[{at}]"), Day::parse(day))
        })
        .collect();
    Some(OpeningHours::new(
        weekly.into_iter().collect::<Option<Vec<_>>>()?,
        closed_days.into_iter().collect::<Option<Vec<_>>>()?,
    ))
}

fn weekly_hours(
    violations: &mut Violations,
    field: &str,
    hours: &proto::WeeklyHours,
) -> Option<WeeklyHours> {
    let weekday = violations.check(format_args!("{field}.weekday"), Weekday::new(hours.weekday));
    let mut minute = |name: &str, minute: u32| {
        violations.check(format_args!("{field}.{name}"), MinuteOfDay::new(minute))
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
pub(in crate::grpc) fn closing(
    request: proto::CloseStoresRequest,
) -> Result<StoreClosing, OrderIntakeError> {
    use proto::close_stores_request::Stores;

    let mut violations = Violations::default();
    let request_id = violations.check("request_id", RequestId::parse(&request.request_id));
    let reason = violations.check("reason", ClosingReason::parse(&request.reason));
    let pending_orders = match request.pending_orders() {
        proto::PendingOrders::Keep => Some(PendingOrders::Keep),
        proto::PendingOrders::Fail => Some(PendingOrders::Fail),
        proto::PendingOrders::Unspecified => {
            violations.check("pending_orders", Err("must be KEEP or FAIL"))
        }
    };
    let scope = match &request.stores {
        Some(Stores::StoreId(id)) => violations
            .check("store_id", StoreId::parse(id))
            .map(ClosingScope::Store),
        Some(Stores::Area(area)) => violations
            .check("area", Area::parse(area))
            .map(ClosingScope::Area),
        None => violations.check("stores", Err("must be a store_id or an area")),
    };
    match (request_id, scope, reason, pending_orders) {
        (Some(request_id), Some(scope), Some(reason), Some(pending_orders)) => Ok(StoreClosing {
            request_id,
            scope,
            reason,
            pending_orders,
        }),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

pub(in crate::grpc) fn closed(closed: Closed) -> proto::CloseStoresResponse {
    proto::CloseStoresResponse {
        stores_closed: closed.stores,
        orders_failed: closed.orders_failed,
        orders_rejected: closed.orders_rejected,
        is_done: closed.finished_at.is_some(),
    }
}

fn optional(reason: &str, violations: &mut Violations) -> Option<ChangeReason> {
    let reason = Some(reason).filter(|reason| !reason.is_empty())?;
    violations.check("reason", ChangeReason::parse(reason))
}

/// Which store is to be opened or closed, and why it is opened.
pub(in crate::grpc) fn state_change(
    request: proto::SetStoreStateRequest,
) -> Result<(StoreId, StoreState, Option<ChangeReason>), OrderIntakeError> {
    let mut violations = Violations::default();
    let id = violations.check("store_id", StoreId::parse(&request.store_id));
    let mut reason = None;
    let state = match request.state() {
        proto::StoreState::Open => {
            reason = optional(&request.reason, &mut violations);
            Some(StoreState::Open)
        }
        proto::StoreState::Closed => {
            let because = ClosingReason::parse(&request.reason);
            let because = violations.check("reason", because);
            because.map(|because| StoreState::Closed(Some(because)))
        }
        proto::StoreState::Unspecified => violations.check("state", Err("must be OPEN or CLOSED")),
    };
    match (id, state) {
        (Some(id), Some(state)) if violations.is_empty() => Ok((id, state, reason)),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

pub(in crate::grpc) fn id(text: &str) -> Result<StoreId, OrderIntakeError> {
    let mut violations = Violations::default();
    violations
        .check("store_id", StoreId::parse(text))
        .ok_or(OrderIntakeError::InvalidFields(violations))
}

pub(in crate::grpc) fn store(store: Store) -> proto::Store {
    let (state, because) = match store.state {
        StoreState::Open => (proto::StoreState::Open, None),
        StoreState::Closed(because) => (proto::StoreState::Closed, because),
    };
    proto::Store {
        store_id: store.id.as_str().to_owned(),
        display_name: store.display_name.as_str().to_owned(),
        area: store.area.as_str().to_owned(),
        opening_hours: Some(proto::OpeningHours {
            weekly: store.hours.weekly().map(weekly_message).collect(),
            closed_days: store
                .hours
                .closed_days()
                .map(|day| day.to_string())
                .collect(),
        }),
        slot_minutes: Some(store.slot_minutes.get().into()),
        orders_per_slot: Some(store.orders_per_slot.get().into()),
        state: state.into(),
        closed_because: because.map_or(String::new(), |because| because.as_str().to_owned()),
        time_zone: store.zone.name().to_owned(),
    }
}

fn weekly_message(hours: WeeklyHours) -> proto::WeeklyHours {
    proto::WeeklyHours {
        weekday: hours.weekday.get().into(),
        opens_at_minute: hours.opens_at.get().into(),
        closes_at_minute: hours.closes_at.get().into(),
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
