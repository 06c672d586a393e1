use sqlx::PgConnection;
use tidegate_telemetry::note;
use tidegate_types::{self as types, Lane, RequestId, StoreId, Timestamp};

use crate::{
    domain::{Booking, FailureNote, Order, Slot, Standing},
    store::{
        lane_number,
        rows::{each, lines_to_json, metadata_to_json},
    },
};

/// What a batch writes.
#[derive(Default)]
pub(super) struct Written {
    pub(super) placed: Vec<Order>,
    /// Orders as they now stand, and the closings of stores that made them so.
    pub(super) moved: Vec<(Standing, Option<RequestId>)>,
    /// What is booked at stores by now.
    pub(super) booked: Vec<(StoreId, Booking)>,
    /// Stores at which places are given back.
    pub(super) given_back: Vec<StoreId>,
    /// What staff changed, which few batches have any of.
    pub(super) recorded: Vec<types::Change>,
}

impl Written {
    pub(super) fn describe(&self) {
        note("tidegate.placed", self.placed.len() as i64);
        note("tidegate.moved", self.moved.len() as i64);
        note("tidegate.slots_booked", self.booked.len() as i64);
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let (placed, moved, booked) = (&*self.placed, &*self.moved, &*self.booked);
        if placed.is_empty() && moved.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("../../../queries/write_orders.sql"))
            .bind(lane_number(lane))
            .bind(now)
            .bind(now.date())
            .bind(each(placed, |order| order.draft.shopper.as_str()))
            .bind(each(placed, |order| order.draft.request_id.as_str()))
            .bind(each(placed, |order| order.standing.order_id.0))
            .bind(each(placed, |order| order.draft.store.as_str()))
            .bind(each(placed, |order| order.standing.area.as_str()))
            .bind(each(placed, |order| order.standing.slot.starts_at()))
            .bind(each(placed, |order| minutes_of(order.standing.slot)))
            .bind(each(placed, |order| order.draft.coupon_code.reveal()))
            .bind(each(placed, |order| lines_to_json(&order.draft.lines)))
            .bind(each(placed, |order| order.draft.content_hash()))
            .bind(each(placed, |order| order.draft.latest_acceptable_at))
            .bind(each(placed, |order| {
                order.standing.trace.map(|trace| trace.traceparent())
            }))
            .bind(each(moved, |(order, _)| order.order_id.0))
            .bind(each(moved, |(order, _)| order.state.kind() as i16))
            .bind(each(moved, |(order, _)| {
                order.state.rejection().map(|why| why.because().name())
            }))
            .bind(each(moved, |(order, _)| {
                order.state.rejection().map(metadata_to_json)
            }))
            .bind(each(moved, |(order, _)| order.discount_minor_units))
            .bind(each(moved, |(order, _)| order.coupon_released_at))
            .bind(each(moved, |(order, _)| order.owes_coupon()))
            .bind(each(moved, |(order, _)| {
                order.state.failure_note().map(FailureNote::as_str)
            }))
            .bind(each(moved, |(order, _)| order.slot.starts_at()))
            .bind(each(moved, |(order, _)| minutes_of(order.slot)))
            .bind(each(moved, |(_, closing)| {
                closing.as_ref().map(RequestId::as_str)
            }))
            .bind(each(booked, |(store, _)| store.as_str()))
            .bind(each(booked, |(_, booking)| booking.slot.starts_at()))
            .bind(each(booked, |(_, booking)| minutes_of(booking.slot)))
            .bind(each(booked, |(_, booking)| i32::from(booking.booked)))
            .bind(each(booked, |(_, booking)| {
                i32::from(booking.capacity_when_booked)
            }))
            .execute(&mut *connection)
            .await?;
        // No statements at all for a batch without such work.
        if !self.given_back.is_empty() {
            sqlx::query(include_str!("../../../queries/note_places_given_back.sql"))
                .bind(each(&self.given_back, StoreId::as_str))
                .execute(&mut *connection)
                .await?;
        }
        tidegate_pg::record_changes(connection, &self.recorded).await
    }
}

pub(super) fn minutes_of(slot: Slot) -> i16 {
    slot.minutes.get().into()
}
