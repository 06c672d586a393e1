//! Messages of the contract, to and from the domain.

pub(super) mod stores;

use std::{fmt::Display, time::Duration};

use tidegate_proto::{order_intake::v1 as proto, r#type::v1 as shared};
use tidegate_rpc::{refusal::words_of, wire};
use tidegate_types::{
    Area, ConsumerId, CouponCode, Lane, Lanes, Lines, OrderLine, Reason, Refusal, RequestId,
    ShopperId, StoreId, Timestamp, Violations,
};
use time::macros::datetime;
use uuid::Uuid;

use super::status::{refusal_of_rejection, to_item_refusal};
use crate::{
    domain::{
        AtGateways, Draft, FailureNote, FeedCursor, FeedFilter, Move, Order, OrderEvent, OrderId,
        OrderState, PagePosition, PageSize, Rejection, Slot, StateKind, StoreOrdersQuery,
        to_microsecond,
    },
    error::{OrderIntakeError, Result},
    feed::FeedPage,
    metrics::Metrics,
    place::PlacedOrder,
};

const MAX_ITEMS: usize = 500;
/// More say no more.
const MAX_CLAIMS_PER_ORDER: f64 = 1_000.0;
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

/// One order to be placed, as it came.
pub(super) struct PlaceItem {
    pub(super) draft: Draft,
    /// Whether to name other stores if this one is full.
    pub(super) suggest_stores: bool,
    /// The story it belongs to.
    pub(super) traceparent: String,
    /// How long the caller waits for this item; `None`: as long as for the call.
    pub(super) patience: Option<Duration>,
}

/// How orders stand at the gateway that sends some. Each claim leads to one if it does not know.
pub(super) fn at_gateway(request: &proto::PlaceOrdersRequest) -> AtGateways {
    let claims = Some(request.claims_per_order).filter(|claims| claims.is_normal());
    let claims = claims.map_or(1.0, |claims| claims.clamp(0.0, MAX_CLAIMS_PER_ORDER));
    AtGateways {
        permit_wait: request.permit_wait.and_then(wire::span).unwrap_or_default(),
        claims_per_order: claims,
    }
}

/// The lane and the items of a call. A bad item refuses itself only; a call for other lanes, or
/// without a sensible number of items, is refused whole.
pub(super) fn place_items(
    request: proto::PlaceOrdersRequest,
    lanes: Lanes,
) -> Result<(Lane, Vec<Result<PlaceItem>>)> {
    if request.lanes != u32::from(lanes.get()) {
        return Err(OrderIntakeError::OtherLanes { ours: lanes });
    }
    let lane = checked(|bad| {
        let lane = bad.check("lane", lanes.lane(request.lane));
        if !(1..=MAX_ITEMS).contains(&request.items.len()) {
            bad.add("items", format!("must be 1 to {MAX_ITEMS}"));
        }
        lane
    })?;
    let items = request.items.into_iter();
    let items = items.map(|item| place_item(item, lanes, lane)).collect();
    Ok((lane, items))
}

fn place_item(item: proto::PlaceOrderItem, lanes: Lanes, lane: Lane) -> Result<PlaceItem> {
    let (shopper, request_id, store, lines, latest_acceptable_at) = checked(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(&item.shopper_id));
        let request_id = bad.check("request_id", RequestId::parse(&item.request_id));
        let store = bad.check("store_id", StoreId::parse(&item.store_id));
        let lines = wire::lines(bad, &item.lines);
        let latest = bad.check("latest_acceptable_at", moment(item.latest_acceptable_at));
        Some((shopper?, request_id?, store?, lines?, latest?))
    })?;
    let belongs_to = lanes.of(&shopper);
    if belongs_to != lane {
        return Err(OrderIntakeError::OtherLane { belongs_to });
    }
    let draft = Draft {
        shopper,
        request_id,
        store,
        lines,
        coupon_code: CouponCode::parse(&item.coupon_code)
            .ok_or(OrderIntakeError::CouponNotFound)?,
        latest_acceptable_at,
    };
    Ok(PlaceItem {
        draft,
        suggest_stores: item.suggest_stores,
        traceparent: item.traceparent,
        patience: (item.deadline_ms > 0).then(|| Duration::from_millis(item.deadline_ms.into())),
    })
}

/// What became of an item. Refusals are counted here, where every kind of them passes.
pub(super) fn place_result(
    outcome: Result<PlacedOrder>,
    metrics: &Metrics,
) -> proto::PlaceOrderResult {
    use proto::place_order_result::Outcome;

    let outcome = match outcome {
        Ok(placed) => Outcome::Placed(proto::PlacedOrder {
            order: Some(order(placed.order)),
            replayed: placed.replayed,
        }),
        Err(error) => {
            let (reason, refusal) = to_item_refusal(error);
            metrics.refused(reason);
            Outcome::Refused(refusal)
        }
    };
    proto::PlaceOrderResult {
        outcome: Some(outcome),
    }
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

/// Who wants to read the feed, from where, and what.
pub(super) fn feed_query(
    request: &proto::StreamOrdersRequest,
    lanes: Lanes,
) -> Result<(ConsumerId, Option<FeedCursor>, FeedFilter)> {
    checked(|bad| {
        let consumer = bad.check("consumer", ConsumerId::parse(&request.consumer));
        let store = bad.check("store_id", given(&request.store_id, StoreId::parse));
        let area = bad.check("area", given(&request.area, Area::parse));
        let consumer = consumer?;
        let cursor = |token| FeedCursor::parse(token, &consumer, lanes);
        let cursor = bad.check("cursor", given(&request.cursor, cursor))?;
        let (store, area) = (store?, area?);
        Some((consumer, cursor, FeedFilter { store, area }))
    })
}

/// How far who has come.
pub(super) fn acknowledgement(
    request: &proto::AcknowledgeOrdersRequest,
    lanes: Lanes,
) -> Result<(ConsumerId, FeedCursor)> {
    checked(|bad| {
        let consumer = bad.check("consumer", ConsumerId::parse(&request.consumer))?;
        let cursor = FeedCursor::parse(&request.cursor, &consumer, lanes);
        let cursor = bad.check("cursor", cursor)?;
        Some((consumer, cursor))
    })
}

pub(super) fn page(page: FeedPage, consumer: &ConsumerId) -> proto::StreamOrdersResponse {
    proto::StreamOrdersResponse {
        events: page.events.iter().map(event).collect(),
        cursor: page.cursor.token(consumer),
        missed_events: page.missed,
    }
}

fn event(event: &OrderEvent) -> proto::OrderEvent {
    proto::OrderEvent {
        order_id: event.order_id.to_string(),
        shopper_id: event.shopper.as_str().to_owned(),
        store_id: event.store.as_str().to_owned(),
        area: event.area.as_str().to_owned(),
        state: event.state.kind() as i32,
        rejected_because: rejected_because(&event.state),
        changed_at: Some(wire::timestamp(event.happened_at)),
        slot: Some(slot(event.slot)),
        lines: event.lines.as_ref().map(lines).unwrap_or_default(),
        failed_because: failed_because(&event.state),
        failure_note: failure_note(&event.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_does_not_know_counts_as_an_order_for_each_claim_and_nonsense_spoils_no_mean()
    {
        for (told, counts_as) in [
            (0.0, 1.0),
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
            (-3.0, 0.0),
            (0.7, 0.7),
            (1e9, MAX_CLAIMS_PER_ORDER),
        ] {
            let request = proto::PlaceOrdersRequest {
                claims_per_order: told,
                ..proto::PlaceOrdersRequest::default()
            };
            let there = at_gateway(&request);
            assert_eq!(there.claims_per_order, counts_as, "{told}");
            assert_eq!(there.permit_wait, Duration::ZERO);
        }
    }

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
