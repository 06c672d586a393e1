//! Messages of the contract, to and from the domain.

pub(super) mod feed;
pub(super) mod lists;
pub(super) mod stores;

use std::time::Duration;

use tidegate_proto::{order_intake::v1 as proto, r#type::v1 as shared};
use tidegate_rpc::{refusal::words_of, wire};
use tidegate_telemetry::TraceContext;
use tidegate_types::{
    CouponCode, Lane, Lanes, Lines, OrderLine, Reason, Refusal, RequestId, ShopperId, StoreId,
    Violations,
};
use uuid::Uuid;

use super::status::{refusal_of_rejection, to_item_refusal};
use crate::{
    domain::{
        Draft, FailureNote, Move, Order, OrderId, OrderState, PagePosition, PageSize, Slot,
        StateKind, to_microsecond,
    },
    error::OrderIntakeError,
    metrics::Metrics,
    place::{PlacedOrder, Wishes},
};

const MAX_ITEMS: usize = 500;

/// One order to be placed, as it came.
pub(super) struct PlaceItem {
    pub(super) draft: Draft,
    pub(super) wishes: Wishes,
    /// How long the caller waits for this item; `None`: as long as for the call.
    pub(super) patience: Option<Duration>,
}

/// The items of a call. A bad item refuses itself only; a call for other lanes, or without a
/// sensible number of items, is refused whole.
pub(super) fn place_items(
    request: proto::PlaceOrdersRequest,
    lanes: Lanes,
) -> Result<Vec<Result<PlaceItem, OrderIntakeError>>, OrderIntakeError> {
    if request.lanes != u32::from(lanes.get()) {
        return Err(OrderIntakeError::OtherLanes { ours: lanes });
    }
    let mut violations = Violations::default();
    let lane = violations.check("lane", lanes.lane(request.lane));
    if !(1..=MAX_ITEMS).contains(&request.items.len()) {
        violations.add("items", format!("must be 1 to {MAX_ITEMS}"));
    }
    match lane {
        Some(lane) if violations.is_empty() => Ok(request
            .items
            .into_iter()
            .map(|item| place_item(item, lanes, lane))
            .collect()),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

fn place_item(
    item: proto::PlaceOrderItem,
    lanes: Lanes,
    lane: Lane,
) -> Result<PlaceItem, OrderIntakeError> {
    let mut violations = Violations::default();
    let shopper = violations.check("shopper_id", ShopperId::parse(&item.shopper_id));
    let request_id = violations.check("request_id", RequestId::parse(&item.request_id));
    let store = violations.check("store_id", StoreId::parse(&item.store_id));
    let lines = wire::lines(&mut violations, &item.lines);
    let latest = item
        .latest_acceptable_at
        .map(|at| wire::moment(at).ok_or("must be a time from year 1 to 9999"));
    let latest = violations.check("latest_acceptable_at", latest.transpose());
    let (Some(shopper), Some(request_id), Some(store), Some(lines), Some(latest)) =
        (shopper, request_id, store, lines, latest)
    else {
        return Err(OrderIntakeError::InvalidFields(violations));
    };
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
        latest_acceptable_at: latest.map(to_microsecond),
    };
    Ok(PlaceItem {
        draft,
        wishes: Wishes {
            trace: TraceContext::parse(&item.traceparent).ok(),
            suggest_stores: item.suggest_stores,
        },
        patience: (item.deadline_ms > 0).then(|| Duration::from_millis(item.deadline_ms.into())),
    })
}

/// What became of an item. Refusals are counted here, where every kind of them passes.
pub(super) fn place_result(
    outcome: Result<PlacedOrder, OrderIntakeError>,
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
    let messages = messages(&order.standing.state);
    let Order { draft, standing } = order;
    shared::Order {
        order_id: standing.order_id.to_string(),
        shopper_id: draft.shopper.as_str().to_owned(),
        request_id: draft.request_id.as_str().to_owned(),
        store_id: draft.store.as_str().to_owned(),
        lines: lines(&draft.lines),
        state: state(&standing.state).into(),
        rejected_because: rejected_because(&standing.state).into(),
        latest_acceptable_at: draft.latest_acceptable_at.map(wire::timestamp),
        created_at: Some(wire::timestamp(standing.created_at)),
        updated_at: Some(wire::timestamp(standing.updated_at)),
        masked_coupon_code: draft.coupon_code.masked(),
        trace_id: standing
            .trace
            .map_or(String::new(), |trace| trace.trace_id()),
        slot: standing.slot.map(slot),
        total: Some(wire::money(draft.lines.total())),
        discount: bill.map(|bill| wire::money(bill.discount())),
        amount_to_pay: bill.map(|bill| wire::money(bill.amount_to_pay())),
        coupon_released_at: standing.coupon_released_at.map(wire::timestamp),
        failed_because: failed_because(&standing.state).into(),
        failure_note: failure_note(&standing.state),
        messages,
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

fn failed_because(state: &OrderState) -> shared::Reason {
    match state {
        OrderState::Failed(_) => wire::reason(Reason::StoreFailed),
        _ => shared::Reason::Unspecified,
    }
}

fn failure_note(state: &OrderState) -> String {
    match state {
        OrderState::Failed(note) => note.as_str().to_owned(),
        _ => String::new(),
    }
}

/// That the store cannot make an order.
pub(super) fn failure(note: &str) -> Result<Move, OrderIntakeError> {
    let mut violations = Violations::default();
    let note = violations.check("note", FailureNote::parse(note));
    note.map(Move::Fail)
        .ok_or(OrderIntakeError::InvalidFields(violations))
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

fn rejected_because(state: &OrderState) -> shared::Reason {
    match state {
        OrderState::Rejected(rejection) => wire::reason(rejection.because()),
        _ => shared::Reason::Unspecified,
    }
}

fn state(state: &OrderState) -> shared::OrderState {
    match state.kind() {
        StateKind::Pending => shared::OrderState::Pending,
        StateKind::Accepted => shared::OrderState::Accepted,
        StateKind::Rejected => shared::OrderState::Rejected,
        StateKind::InPreparation => shared::OrderState::InPreparation,
        StateKind::Ready => shared::OrderState::Ready,
        StateKind::Completed => shared::OrderState::Completed,
        StateKind::Cancelled => shared::OrderState::Cancelled,
        StateKind::Failed => shared::OrderState::Failed,
    }
}

/// Names one order of one shopper.
pub(super) fn order_key(
    shopper_id: &str,
    order_id: &str,
) -> Result<(ShopperId, OrderId), OrderIntakeError> {
    let mut violations = Violations::default();
    let shopper = violations.check("shopper_id", ShopperId::parse(shopper_id));
    let order_id = violations.check(
        "order_id",
        Uuid::try_parse(order_id).map_err(|_| "must be a UUID"),
    );
    match (shopper, order_id) {
        (Some(shopper), Some(order_id)) => Ok((shopper, OrderId(order_id))),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

pub(super) fn list_query(
    request: &proto::ListOrdersRequest,
) -> Result<(ShopperId, PageSize, PagePosition), OrderIntakeError> {
    let mut violations = Violations::default();
    let shopper = violations.check("shopper_id", ShopperId::parse(&request.shopper_id));
    let size = violations.check("page_size", PageSize::new(request.page_size));
    let after = match &*request.page_token {
        "" => Some(PagePosition::NEWEST),
        token => violations.check("page_token", PagePosition::parse(token)),
    };
    match (shopper, size, after) {
        (Some(shopper), Some(size), Some(after)) => Ok((shopper, size, after)),
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

/// Which step fulfilment asks for.
pub(super) fn step(state: shared::OrderState) -> Result<Move, OrderIntakeError> {
    match state {
        shared::OrderState::InPreparation => Ok(Move::Prepare),
        shared::OrderState::Ready => Ok(Move::MakeReady),
        shared::OrderState::Completed => Ok(Move::Complete),
        _ => {
            let mut violations = Violations::default();
            violations.add("state", "must be IN_PREPARATION, READY or COMPLETED");
            Err(OrderIntakeError::InvalidFields(violations))
        }
    }
}
