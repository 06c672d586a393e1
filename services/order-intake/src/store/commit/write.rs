use sqlx::PgConnection;
use tidegate_telemetry::Span;
use tidegate_types::{self as types, Lane, RequestId, Timestamp};
use uuid::Uuid;

use super::change::Placement;
use crate::{
    domain::{OrderState, Slot, Standing, Timetable},
    store::{
        lane_number,
        rows::{lines_to_json, metadata_to_json, state_number},
    },
};

/// What a batch writes, column by column.
#[derive(Default)]
pub(super) struct Written {
    placed: PlacedColumns,
    moved: MovedColumns,
    booked: BookedColumns,
    /// What staff changed, which few batches have any of.
    recorded: Vec<types::Change>,
}

#[derive(Default)]
struct PlacedColumns {
    shopper_id: Vec<String>,
    request_id: Vec<String>,
    order_id: Vec<Uuid>,
    store_id: Vec<String>,
    area: Vec<String>,
    slot_starts_at: Vec<Timestamp>,
    slot_minutes: Vec<i16>,
    coupon_code: Vec<String>,
    lines: Vec<String>,
    content_hash: Vec<Vec<u8>>,
    latest_acceptable_at: Vec<Option<Timestamp>>,
    traceparent: Vec<String>,
}

#[derive(Default)]
struct MovedColumns {
    order_id: Vec<Uuid>,
    state: Vec<i16>,
    rejected_because: Vec<Option<&'static str>>,
    rejection_metadata: Vec<Option<String>>,
    discount_minor_units: Vec<Option<i64>>,
    coupon_released_at: Vec<Option<Timestamp>>,
    owes_coupon: Vec<bool>,
    failure_note: Vec<Option<String>>,
    slot_starts_at: Vec<Option<Timestamp>>,
    slot_minutes: Vec<Option<i16>>,
    ended_by_closing: Vec<Option<String>>,
}

#[derive(Default)]
struct BookedColumns {
    store_id: Vec<String>,
    slot_starts_at: Vec<Timestamp>,
    slot_minutes: Vec<i16>,
    booked: Vec<i32>,
    capacity_when_booked: Vec<i32>,
}

impl Written {
    pub(super) fn place(&mut self, placement: &Placement, standing: &Standing, slot: Slot) {
        let (columns, draft) = (&mut self.placed, &*placement.draft);
        columns.shopper_id.push(draft.shopper.as_str().to_owned());
        columns
            .request_id
            .push(draft.request_id.as_str().to_owned());
        columns.order_id.push(standing.order_id.0);
        columns.store_id.push(draft.store.as_str().to_owned());
        columns.area.push(standing.area.as_str().to_owned());
        columns.slot_starts_at.push(slot.starts_at());
        columns.slot_minutes.push(slot.minutes.get().into());
        columns.coupon_code.push(draft.coupon_code.reveal());
        columns.lines.push(lines_to_json(&draft.lines));
        columns.content_hash.push(draft.content_hash().to_vec());
        columns
            .latest_acceptable_at
            .push(draft.latest_acceptable_at);
        columns.traceparent.push(placement.trace.traceparent());
    }

    /// An order as it now stands, and the closing of stores that made it so.
    pub(super) fn rewrite(&mut self, standing: &Standing, closing: Option<&RequestId>) {
        let columns = &mut self.moved;
        let rejection = match &standing.state {
            OrderState::Rejected(rejection) => Some(rejection),
            _ => None,
        };
        columns.order_id.push(standing.order_id.0);
        columns.state.push(state_number(standing.state.kind()));
        columns
            .rejected_because
            .push(rejection.map(|rejection| rejection.because().name()));
        columns
            .rejection_metadata
            .push(rejection.map(|rejection| metadata_to_json(rejection.metadata())));
        columns
            .discount_minor_units
            .push(standing.discount_minor_units);
        columns.coupon_released_at.push(standing.coupon_released_at);
        columns.owes_coupon.push(standing.owes_coupon());
        columns.failure_note.push(match &standing.state {
            OrderState::Failed(note) => Some(note.as_str().to_owned()),
            _ => None,
        });
        columns
            .slot_starts_at
            .push(standing.slot.map(Slot::starts_at));
        let minutes = |slot: Slot| i16::from(slot.minutes.get());
        columns.slot_minutes.push(standing.slot.map(minutes));
        columns
            .ended_by_closing
            .push(closing.map(|closing| closing.as_str().to_owned()));
    }

    /// What is booked at a store by now.
    pub(super) fn book(&mut self, timetable: &Timetable) {
        let columns = &mut self.booked;
        for booking in timetable.changes() {
            columns
                .store_id
                .push(timetable.store().id.as_str().to_owned());
            columns.slot_starts_at.push(booking.slot.starts_at());
            columns.slot_minutes.push(booking.slot.minutes.get().into());
            columns.booked.push(booking.booked.into());
            columns
                .capacity_when_booked
                .push(booking.capacity_when_booked.into());
        }
    }

    /// What the record of what staff change is to say.
    pub(super) fn record(&mut self, change: types::Change) {
        self.recorded.push(change);
    }

    pub(super) fn describe(&self, span: &mut Span) {
        span.attribute("tidegate.placed", self.placed.order_id.len() as i64);
        span.attribute("tidegate.moved", self.moved.order_id.len() as i64);
        span.attribute("tidegate.slots_booked", self.booked.store_id.len() as i64);
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let (placed, moved, booked) = (self.placed, self.moved, self.booked);
        if placed.order_id.is_empty() && moved.order_id.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("../../../queries/write_orders.sql"))
            .bind(lane_number(lane))
            .bind(now)
            .bind(now.date())
            .bind(placed.shopper_id)
            .bind(placed.request_id)
            .bind(placed.order_id)
            .bind(placed.store_id)
            .bind(placed.area)
            .bind(placed.slot_starts_at)
            .bind(placed.slot_minutes)
            .bind(placed.coupon_code)
            .bind(placed.lines)
            .bind(placed.content_hash)
            .bind(placed.latest_acceptable_at)
            .bind(placed.traceparent)
            .bind(moved.order_id)
            .bind(moved.state)
            .bind(moved.rejected_because)
            .bind(moved.rejection_metadata)
            .bind(moved.discount_minor_units)
            .bind(moved.coupon_released_at)
            .bind(moved.owes_coupon)
            .bind(moved.failure_note)
            .bind(moved.slot_starts_at)
            .bind(moved.slot_minutes)
            .bind(moved.ended_by_closing)
            .bind(booked.store_id)
            .bind(booked.slot_starts_at)
            .bind(booked.slot_minutes)
            .bind(booked.booked)
            .bind(booked.capacity_when_booked)
            .execute(&mut *connection)
            .await?;
        // No statement at all for a batch without such work.
        tidegate_pg::record_changes(connection, &self.recorded).await
    }
}
