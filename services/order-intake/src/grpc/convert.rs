//! Messages of the contract, to and from the domain.

pub(super) mod feed;
pub(super) mod placing;
pub(super) mod stores;

use std::fmt::Display;

use tidegate_proto::{order_intake::v1 as proto, r#type::v1 as shared};
use tidegate_rpc::{refusal::words_of, wire};
use tidegate_types::{
    Lines, OrderLine, Reason, Refusal, ShopperId, StoreId, Timestamp, Violations,
};
use time::macros::datetime;
use uuid::Uuid;

use super::status::refusal_of_rejection;
use crate::{
    domain::{
        FailureNote, Move, Order, OrderId, OrderState, PagePosition, PageSize, Rejection, Slot,
        StateKind, StoreOrdersQuery, to_microsecond,
    },
    error::{OrderIntakeError, Result},
};

const NEVER: Timestamp = datetime!(9999-12-31 23:59:59 UTC);

/// What a message asks for, unless some of its fields are out of bounds.
fn checked<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Result<T> {
    let mut bad = Violations::default();
    let read = read(&mut bad).filter(|_| bad.is_empty());
    read.ok_or(OrderIntakeError::InvalidFields(bad))
}

/// Whether there are few enough of something to be looked at.
fn at_most(bad: &mut Violations, field: impl Display, count: usize, max: usize) -> bool {
    if count > max {
        bad.add(field, format_args!("must be {max} at most"));
    }
    count <= max
}

/// A text that may be left out.
fn given<'a, T, E>(
    text: &'a str,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> Result<Option<T>, E> {
    (!text.is_empty()).then(|| parse(text)).transpose()
}

fn moment(at: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, &'static str> {
    let moment = |at| wire::moment(at).map(to_microsecond);
    at.map(|at| moment(at).ok_or("must be a time from year 1 to 9999"))
        .transpose()
}

pub(super) fn order(order: Order) -> shared::Order {
    let bill = order.bill();
    let Order { draft, standing } = order;
    let state = &standing.state;
    shared::Order {
        order_id: standing.order_id.to_string(),
        shopper_id: draft.shopper.as_str().to_owned(),
        request_id: draft.request_id.as_str().to_owned(),
        store_id: draft.store.as_str().to_owned(),
        lines: lines(&draft.lines),
        state: state.kind() as i32,
        rejected_because: rejected_because(state),
        latest_acceptable_at: draft.latest_acceptable_at.map(wire::timestamp),
        created_at: Some(wire::timestamp(standing.created_at)),
        updated_at: Some(wire::timestamp(standing.updated_at)),
        masked_coupon_code: draft.coupon_code.masked(),
        trace_id: standing
            .trace
            .map_or(String::new(), |trace| trace.trace_id()),
        slot: Some(slot(standing.slot)),
        total: Some(wire::money(draft.lines.total())),
        discount: bill.map(|bill| wire::money(bill.discount())),
        amount_to_pay: bill.map(|bill| wire::money(bill.amount_to_pay())),
        coupon_released_at: standing.coupon_released_at.map(wire::timestamp),
        failed_because: failed_because(state),
        failure_note: failure_note(state),
        messages: messages(state),
    }
}

/// What the shopper of an order hears that will not be made.
fn messages(state: &OrderState) -> Vec<shared::LocalizedText> {
    let refusal = match state {
        OrderState::Rejected(rejection) => refusal_of_rejection(rejection),
        OrderState::Failed(_) => Refusal::never(Reason::StoreFailed),
        _ => return Vec::new(),
    };
    let words = words_of(&refusal);
    let text = |locale: &str, message| shared::LocalizedText {
        locale: locale.to_owned(),
        message,
    };
    vec![text("zh-CN", words.zh), text("en", words.en)]
}

fn rejected_because(state: &OrderState) -> i32 {
    reason(state.rejection().map(Rejection::because))
}

fn failed_because(state: &OrderState) -> i32 {
    reason(state.failure_note().map(|_| Reason::StoreFailed))
}

fn reason(reason: Option<Reason>) -> i32 {
    let reason = reason.map(wire::reason);
    reason.unwrap_or(shared::Reason::Unspecified).into()
}

fn failure_note(state: &OrderState) -> String {
    let note = state.failure_note();
    note.map_or("", FailureNote::as_str).to_owned()
}

fn lines(lines: &Lines) -> Vec<shared::OrderLine> {
    let line = |line: &OrderLine| shared::OrderLine {
        sku: line.sku.as_str().to_owned(),
        quantity: line.quantity.get().into(),
        unit_price: Some(wire::money(line.unit_price.get())),
    };
    lines.as_slice().iter().map(line).collect()
}

fn slot(slot: Slot) -> shared::Slot {
    shared::Slot {
        starts_at: Some(wire::timestamp(slot.starts_at())),
        ends_at: Some(wire::timestamp(slot.ends_at())),
    }
}

pub(super) fn failure(note: &str) -> Result<Move> {
    checked(|bad| bad.check("note", FailureNote::parse(note))).map(Move::Fail)
}

pub(super) fn step(state: shared::OrderState) -> Result<Move> {
    let step = match state {
        shared::OrderState::InPreparation => Ok(Move::Prepare),
        shared::OrderState::Ready => Ok(Move::MakeReady),
        shared::OrderState::Completed => Ok(Move::Complete),
        _ => Err("must be IN_PREPARATION, READY or COMPLETED"),
    };
    checked(|bad| bad.check("state", step))
}

pub(super) fn order_id(text: &str) -> Result<OrderId> {
    checked(|bad| id(bad, text))
}

fn id(bad: &mut Violations, text: &str) -> Option<OrderId> {
    let id = Uuid::try_parse(text).map_err(|_| "must be a UUID");
    bad.check("order_id", id).map(OrderId)
}

pub(super) fn order_key(shopper_id: &str, order_id: &str) -> Result<(ShopperId, OrderId)> {
    checked(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(shopper_id));
        let order_id = id(bad, order_id);
        Some((shopper?, order_id?))
    })
}

pub(super) fn list_query(
    request: &proto::ListOrdersRequest,
) -> Result<(ShopperId, PageSize, PagePosition)> {
    checked(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(&request.shopper_id));
        let size = bad.check("page_size", PageSize::new(request.page_size));
        let after = given(&request.page_token, PagePosition::parse);
        let after = bad.check("page_token", after)?;
        Some((shopper?, size?, after.unwrap_or(PagePosition::NEWEST)))
    })
}

pub(super) fn store_orders_query(
    request: &proto::ListStoreOrdersRequest,
) -> Result<StoreOrdersQuery> {
    checked(|bad| {
        let store = bad.check("store_id", StoreId::parse(&request.store_id));
        let states = states(bad, &request.states);
        let from = bad.check("from", moment(request.from));
        let until = bad.check("until", moment(request.until));
        if let (Some(Some(from)), Some(Some(until))) = (from, until)
            && from >= until
        {
            bad.add("until", "must be later than `from`");
        }
        let size = bad.check("page_size", PageSize::new(request.page_size));
        let after = given(&request.page_token, PagePosition::parse);
        let after = bad.check("page_token", after)?;
        let query = StoreOrdersQuery {
            store: store?,
            states,
            after: after.unwrap_or(PagePosition::OLDEST),
            until: until?.unwrap_or(NEVER),
            size: size?,
        };
        Some(match from? {
            Some(from) => query.not_before(from),
            None => query,
        })
    })
}

/// All if none is named; a bad one is noted, so that the message is refused.
fn states(bad: &mut Violations, numbers: &[i32]) -> Vec<StateKind> {
    if numbers.is_empty() {
        return StateKind::ALL.to_vec();
    }
    let mut states = Vec::new();
    if at_most(bad, "states", numbers.len(), StateKind::ALL.len()) {
        for (at, number) in numbers.iter().enumerate() {
            let state = StateKind::numbered(*number).ok_or("must be a known state");
            states.extend(bad.check(format_args!("states[{at}]"), state));
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_names_and_numbers_of_the_contract() {
        for number in -1..1_000 {
            let name = StateKind::numbered(number).map(StateKind::name);
            let state = shared::OrderState::try_from(number).ok();
            let known = state.filter(|state| *state != shared::OrderState::Unspecified);
            let known = known.map(|state| state.as_str_name());
            assert_eq!(
                known,
                name.map(|name| format!("ORDER_STATE_{name}")).as_deref()
            );
        }
    }
}
