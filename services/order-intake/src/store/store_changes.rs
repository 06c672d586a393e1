//! What the record of what staff change says of stores, by the names of the contract. Rows are
//! compared as they are, so that a row that makes no sense can still be mended.

use std::collections::HashMap;

use tidegate_types::{Actor, Change, ChangeReason, ResourceKind, Timestamp};

use super::stores::StoreRow;
use crate::domain::{ClosingScope, PendingOrders, StoreClosing};

/// Who changes stores, and why, if it was said.
pub(super) type By<'a> = (&'a Actor, Option<&'a ChangeReason>);

/// One for each store that is new or different.
pub(super) fn upsert_records(
    by: By<'_>,
    now: Timestamp,
    before: Vec<StoreRow>,
    after: &[StoreRow],
) -> Vec<Change> {
    let before: HashMap<_, _> = before
        .into_iter()
        .map(|store| (store.store_id.clone(), store))
        .collect();
    let record = |after: &StoreRow| {
        let before = before.get(&after.store_id);
        let reason = by.1.map_or("", ChangeReason::as_str);
        let change = of_store(by.0, now, "UpsertStores", after, reason);
        (before != Some(after)).then(|| with_fields(change, before, after))
    };
    after.iter().filter_map(record).collect()
}

/// That a store was opened or closed, unless it stays as it was.
pub(super) fn state_record(
    (by, reason): By<'_>,
    now: Timestamp,
    before: &StoreRow,
    after: &StoreRow,
) -> Option<Change> {
    let opened_because = reason.map_or("", ChangeReason::as_str);
    let reason = after.closed_because.as_deref().unwrap_or(opened_because);
    let change = of_store(by, now, "SetStoreState", after, reason);
    (before != after).then(|| with_fields(change, Some(before), after))
}

/// One for a store, or one for all stores of an area, which were as `before` says.
pub(super) fn closing_records(
    by: &Actor,
    now: Timestamp,
    closing: &StoreClosing,
    before: &[StoreRow],
) -> Vec<Change> {
    let (action, reason) = ("CloseStores", closing.reason.as_str());
    let pending_orders = match closing.pending_orders {
        PendingOrders::Keep => "KEEP",
        PendingOrders::Fail => "FAIL",
    };
    let of_closing = |change: Change| {
        change
            .with_field("request_id", "", closing.request_id.as_str())
            .with_field("pending_orders", "", pending_orders)
    };
    let closed = |before: &StoreRow| {
        let after = StoreRow {
            is_closed: true,
            closed_because: Some(reason.to_owned()),
            ..before.clone()
        };
        let change = of_closing(of_store(by, now, action, before, reason));
        with_fields(change, Some(before), &after)
    };
    match &closing.scope {
        ClosingScope::Store(_) => before.iter().map(closed).collect(),
        ClosingScope::Area(area) => {
            let open = before.iter().filter(|store| !store.is_closed);
            let open: Vec<_> = open.map(|store| &*store.store_id).collect();
            let area = (ResourceKind::Area, area.as_str());
            let change = of_closing(Change::new(by, now, action, area, reason));
            let change = change
                .with_field("stores_closed", "", before.len())
                .with_field("open_store_ids", open.join(", "), "");
            vec![change]
        }
    }
}

fn of_store(by: &Actor, now: Timestamp, action: &str, store: &StoreRow, reason: &str) -> Change {
    let store = (ResourceKind::Store, &*store.store_id);
    Change::new(by, now, action, store, reason)
}

/// A field's name in the contract, and its value as text.
type Field = (&'static str, fn(&StoreRow) -> String);

const FIELDS: [Field; 8] = [
    ("display_name", |store| store.display_name.clone()),
    ("area", |store| store.area.clone()),
    ("time_zone", |store| store.time_zone.clone()),
    ("opening_hours.weekly", |store| weekly(&store.weekly_hours)),
    ("slot_minutes", |store| store.slot_minutes.to_string()),
    ("orders_per_slot", |store| store.orders_per_slot.to_string()),
    ("state", |store| state(store).to_owned()),
    ("closed_because", |store| {
        store.closed_because.clone().unwrap_or_default()
    }),
];

fn with_fields(change: Change, before: Option<&StoreRow>, after: &StoreRow) -> Change {
    let named = FIELDS.into_iter().fold(change, |change, (field, text)| {
        change.with_field(field, before.map(text).unwrap_or_default(), text(after))
    });
    let days_before = before.map_or(&[][..], |store| &store.closed_days);
    named.with_field(
        "opening_hours.closed_days",
        days_without(days_before, &after.closed_days),
        days_without(&after.closed_days, days_before),
    )
}

fn state(store: &StoreRow) -> &'static str {
    if store.is_closed { "CLOSED" } else { "OPEN" }
}

/// Such as `1 09:00-17:30`: the weekday, of which 1 is Monday, and the hours of its clocks.
fn weekly(numbers: &[i16]) -> String {
    let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let stretch = |numbers: &[i16]| match numbers {
        [weekday, opens_at, closes_at] => {
            format!("{weekday} {}-{}", time(*opens_at), time(*closes_at))
        }
        _ => String::new(),
    };
    let stretches: Vec<_> = numbers.chunks(3).map(stretch).collect();
    stretches.join(", ")
}

/// Of the days only those that are not among the others: all of them may be more than a field
/// holds.
fn days_without(days: &[time::Date], others: &[time::Date]) -> String {
    let days = days.iter().filter(|day| !others.contains(day));
    let days: Vec<_> = days.map(time::Date::to_string).collect();
    days.join(", ")
}
