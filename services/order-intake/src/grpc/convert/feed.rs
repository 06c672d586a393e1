//! The feed of the contract, to and from the domain.

use tidegate_proto::order_intake::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{ConsumerId, Lanes, StoreId, Violations};

use super::{failed_because, failure_note, lines, rejected_because, slot, state};
use crate::{
    domain::{Area, FeedCursor, FeedFilter, OrderEvent},
    error::OrderIntakeError,
    feed::FeedPage,
};

/// Who wants to read, from where, and what.
pub(in crate::grpc) fn query(
    request: &proto::StreamOrdersRequest,
    lanes: Lanes,
) -> Result<(ConsumerId, Option<FeedCursor>, FeedFilter), OrderIntakeError> {
    let mut violations = Violations::default();
    let consumer = violations.check("consumer", ConsumerId::parse(&request.consumer));
    let store = given(&request.store_id).map(StoreId::parse).transpose();
    let store = violations.check("store_id", store);
    let area = given(&request.area).map(Area::parse).transpose();
    let area = violations.check("area", area);
    let cursor = consumer.as_ref().map(|consumer| {
        let cursor = given(&request.cursor);
        cursor.map(|token| FeedCursor::parse(token, consumer, lanes))
    });
    let cursor = violations.check("cursor", cursor.flatten().transpose());
    match (consumer, store, area, cursor) {
        (Some(consumer), Some(store), Some(area), Some(cursor)) => {
            Ok((consumer, cursor, FeedFilter { store, area }))
        }
        _ => Err(OrderIntakeError::InvalidFields(violations)),
    }
}

/// How far who has come.
pub(in crate::grpc) fn acknowledgement(
    request: &proto::AcknowledgeOrdersRequest,
    lanes: Lanes,
) -> Result<(ConsumerId, FeedCursor), OrderIntakeError> {
    let mut violations = Violations::default();
    let consumer = violations.check("consumer", ConsumerId::parse(&request.consumer));
    let cursor = consumer.and_then(|consumer| {
        let cursor = FeedCursor::parse(&request.cursor, &consumer, lanes);
        Some((consumer, violations.check("cursor", cursor)?))
    });
    cursor.ok_or(OrderIntakeError::InvalidFields(violations))
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(in crate::grpc) fn page(page: FeedPage, consumer: &ConsumerId) -> proto::StreamOrdersResponse {
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
        state: state(&event.state).into(),
        rejected_because: rejected_because(&event.state).into(),
        changed_at: Some(wire::timestamp(event.happened_at)),
        slot: event.slot.map(slot),
        lines: event.lines.as_ref().map(lines).unwrap_or_default(),
        failed_because: failed_because(&event.state).into(),
        failure_note: failure_note(&event.state),
    }
}
