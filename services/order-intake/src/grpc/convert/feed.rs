//! The feed of orders.

use tidegate_proto::order_intake::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{Area, ConsumerId, Lanes, StoreId};

use super::{checked, failed_because, failure_note, given, lines, rejected_because, slot};
use crate::{
    domain::{FeedCursor, FeedFilter, OrderEvent},
    error::Result,
    feed::FeedPage,
};

/// Who wants to read the feed, from where, and what.
pub(in crate::grpc) fn feed_query(
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
pub(in crate::grpc) fn acknowledgement(
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
        state: event.state.kind() as i32,
        rejected_because: rejected_because(&event.state),
        changed_at: Some(wire::timestamp(event.happened_at)),
        slot: Some(slot(event.slot)),
        lines: event.lines.as_ref().map(lines).unwrap_or_default(),
        failed_because: failed_because(&event.state),
        failure_note: failure_note(&event.state),
    }
}
