use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use tidegate_telemetry::TraceContext;
use tidegate_types::{
    CouponCode, CurrencyCode, Lines, Money, OrderLine, Quantity, Reason, RequestId, ShopperId, Sku,
    StoreId, Timestamp, UnitPrice,
};
use uuid::Uuid;

use crate::domain::{
    Area, Draft, FailureNote, Minute, Order, OrderId, OrderState, Rejection, Slot, SlotMinutes,
    Standing, StateKind,
};

const PENDING: i16 = 1;
const ACCEPTED: i16 = 2;
const REJECTED: i16 = 3;
const IN_PREPARATION: i16 = 4;
const READY: i16 = 5;
const COMPLETED: i16 = 6;
const CANCELLED: i16 = 7;
const FAILED: i16 = 8;

/// An order as it is read with its details.
#[derive(FromRow)]
pub(super) struct OrderRow {
    shopper_id: String,
    request_id: String,
    store_id: String,
    coupon_code: String,
    lines: String,
    latest_acceptable_at: Option<Timestamp>,
    #[sqlx(flatten)]
    standing: StandingRow,
}

/// What has become of an order, in every query that reads one.
#[derive(FromRow)]
pub(super) struct StandingRow {
    order_id: Uuid,
    area: String,
    slot_starts_at: Option<Timestamp>,
    slot_minutes: Option<i16>,
    state: i16,
    rejected_because: Option<String>,
    rejection_metadata: Option<String>,
    failure_note: Option<String>,
    discount_minor_units: Option<i64>,
    coupon_released_at: Option<Timestamp>,
    traceparent: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct LineDocument {
    sku: String,
    quantity: u8,
    currency_code: String,
    unit_price_minor_units: i64,
}

impl OrderRow {
    pub(super) fn into_order(self) -> Result<Order, sqlx::Error> {
        let draft = Draft {
            shopper: column("shopper_id", ShopperId::parse(&self.shopper_id))?,
            request_id: column("request_id", RequestId::parse(&self.request_id))?,
            store: column("store_id", StoreId::parse(&self.store_id))?,
            lines: lines_from_json(&self.lines)?,
            coupon_code: CouponCode::parse(&self.coupon_code)
                .ok_or_else(|| unreadable("coupon_code", "it is no code"))?,
            latest_acceptable_at: self.latest_acceptable_at,
        };
        Ok(Order {
            draft: Arc::new(draft),
            standing: self.standing.into_standing()?,
        })
    }
}

impl StandingRow {
    pub(super) fn into_standing(self) -> Result<Standing, sqlx::Error> {
        let state = state(
            self.state,
            self.rejected_because.zip(self.rejection_metadata),
            self.failure_note,
        )?;
        Ok(Standing {
            order_id: OrderId(self.order_id),
            area: column("area", Area::parse(&self.area))?,
            slot: slot(self.slot_starts_at, self.slot_minutes)?,
            state,
            discount_minor_units: self.discount_minor_units,
            coupon_released_at: self.coupon_released_at,
            trace: self
                .traceparent
                .and_then(|text| TraceContext::parse(&text).ok()),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

fn state(
    number: i16,
    rejected: Option<(String, String)>,
    failure_note: Option<String>,
) -> Result<OrderState, sqlx::Error> {
    Ok(match (number, rejected, failure_note) {
        (PENDING, None, None) => OrderState::Pending,
        (ACCEPTED, None, None) => OrderState::Accepted,
        (REJECTED, Some((because, metadata)), None) => {
            OrderState::Rejected(rejection(&because, &metadata)?)
        }
        (IN_PREPARATION, None, None) => OrderState::InPreparation,
        (READY, None, None) => OrderState::Ready,
        (COMPLETED, None, None) => OrderState::Completed,
        (CANCELLED, None, None) => OrderState::Cancelled,
        (FAILED, None, Some(note)) => {
            OrderState::Failed(column("failure_note", FailureNote::parse(&note))?)
        }
        (number, ..) => {
            return Err(unreadable("state", format!("{number} with these reasons")));
        }
    })
}

/// A state as events keep it: of a rejection, they know the reason and not the facts.
pub(super) fn event_state(
    number: i16,
    because: Option<String>,
    failure_note: Option<String>,
) -> Result<OrderState, sqlx::Error> {
    let rejected = because.map(|because| (because, "{}".to_owned()));
    state(number, rejected, failure_note)
}

/// The slot in two columns, which are both set or both unset.
pub(super) fn slot(
    starts_at: Option<Timestamp>,
    minutes: Option<i16>,
) -> Result<Option<Slot>, sqlx::Error> {
    let slot = |(starts_at, minutes)| {
        Ok(Slot {
            begins: Minute::of(starts_at),
            minutes: column("slot_minutes", SlotMinutes::new(minutes))?,
        })
    };
    starts_at.zip(minutes).map(slot).transpose()
}

pub(super) fn state_number(state: StateKind) -> i16 {
    match state {
        StateKind::Pending => PENDING,
        StateKind::Accepted => ACCEPTED,
        StateKind::Rejected => REJECTED,
        StateKind::InPreparation => IN_PREPARATION,
        StateKind::Ready => READY,
        StateKind::Completed => COMPLETED,
        StateKind::Cancelled => CANCELLED,
        StateKind::Failed => FAILED,
    }
}

pub(super) fn metadata_to_json(metadata: &[(String, String)]) -> String {
    let object: serde_json::Map<_, _> = metadata
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    serde_json::Value::from(object).to_string()
}

fn rejection(because: &str, metadata: &str) -> Result<Rejection, sqlx::Error> {
    let metadata: BTreeMap<String, String> =
        column("rejection_metadata", serde_json::from_str(metadata))?;
    Reason::from_name(because)
        .and_then(|reason| Rejection::kept(reason, metadata.into_iter().collect()))
        .ok_or_else(|| unreadable("rejected_because", because))
}

pub(super) fn lines_to_json(lines: &Lines) -> String {
    let document = |line: &OrderLine| {
        serde_json::json!(LineDocument {
            sku: line.sku.as_str().to_owned(),
            quantity: line.quantity.get(),
            currency_code: line.unit_price.get().currency.to_string(),
            unit_price_minor_units: line.unit_price.get().minor_units,
        })
    };
    serde_json::Value::from_iter(lines.as_slice().iter().map(document)).to_string()
}

pub(super) fn lines_from_json(json: &str) -> Result<Lines, sqlx::Error> {
    let documents: Vec<LineDocument> = column("lines", serde_json::from_str(json))?;
    let line = |document: LineDocument| {
        let money = Money {
            currency: column("lines", CurrencyCode::parse(&document.currency_code))?,
            minor_units: document.unit_price_minor_units,
        };
        Ok(OrderLine {
            sku: column("lines", Sku::parse(&document.sku))?,
            quantity: column("lines", Quantity::new(document.quantity))?,
            unit_price: column("lines", UnitPrice::new(money))?,
        })
    };
    let lines = documents
        .into_iter()
        .map(line)
        .collect::<Result<_, sqlx::Error>>()?;
    column("lines", Lines::new(lines))
}

/// A value of a column that was checked when it was written: if it cannot be read, somebody else
/// wrote it.
pub(super) fn column<T, E: Display>(
    name: &'static str,
    parsed: Result<T, E>,
) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| unreadable(name, error))
}

pub(super) fn unreadable(name: &'static str, problem: impl Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: problem.to_string().into(),
    }
}
