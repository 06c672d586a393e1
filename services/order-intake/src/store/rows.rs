use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use tidegate_telemetry::TraceContext;
use tidegate_types::{
    CouponCode, CurrencyCode, Lines, Money, OrderLine, Quantity, Reason, RequestId, ShopperId, Sku,
    StoreId, Timestamp, UnitPrice,
};

use crate::domain::{
    Area, Draft, FailureNote, Minute, Order, OrderBooks, OrderEvent, OrderId, OrderState,
    Rejection, Slot, SlotMinutes, Standing, StateKind,
};

#[derive(Serialize, Deserialize)]
struct LineDocument {
    sku: String,
    quantity: u8,
    currency_code: String,
    unit_price_minor_units: i64,
}

/// An order that is read with its details.
impl FromRow<'_, PgRow> for Order {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let draft = Draft {
            shopper: text(row, "shopper_id", ShopperId::parse)?,
            request_id: text(row, "request_id", RequestId::parse)?,
            store: text(row, "store_id", StoreId::parse)?,
            lines: lines_from_json(row.try_get("lines")?)?,
            coupon_code: coupon_code(row)?,
            latest_acceptable_at: row.try_get("latest_acceptable_at")?,
        };
        Ok(Self {
            draft: Arc::new(draft),
            standing: Standing::from_row(row)?,
        })
    }
}

impl FromRow<'_, PgRow> for Standing {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let because: Option<&str> = row.try_get("rejected_because")?;
        let rejected = because.zip(row.try_get("rejection_metadata")?);
        let traceparent: Option<&str> = row.try_get("traceparent")?;
        Ok(Self {
            order_id: OrderId(row.try_get("order_id")?),
            area: text(row, "area", Area::parse)?,
            slot: slot(row)?,
            state: state(row, rejected)?,
            discount_minor_units: row.try_get("discount_minor_units")?,
            coupon_released_at: row.try_get("coupon_released_at")?,
            trace: traceparent.and_then(TraceContext::parse),
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// An event keeps of a rejection the reason and not the facts.
impl FromRow<'_, PgRow> for OrderEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let because: Option<&str> = row.try_get("rejected_because")?;
        let lines: Option<&str> = row.try_get("lines")?;
        Ok(Self {
            order_id: OrderId(row.try_get("order_id")?),
            shopper: text(row, "shopper_id", ShopperId::parse)?,
            store: text(row, "store_id", StoreId::parse)?,
            area: text(row, "area", Area::parse)?,
            state: state(row, because.map(|because| (because, "{}")))?,
            slot: slot(row)?,
            lines: lines.map(lines_from_json).transpose()?,
            happened_at: row.try_get("happened_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for OrderBooks {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            order_id: OrderId(row.try_get("order_id")?),
            shopper: text(row, "shopper_id", ShopperId::parse)?,
            coupon_code: coupon_code(row)?,
            is_paid: row.try_get("is_paid")?,
            is_paid_twice: row.try_get("is_paid_twice")?,
        })
    }
}

fn coupon_code(row: &PgRow) -> Result<CouponCode, sqlx::Error> {
    let parse = |code| CouponCode::parse(code).ok_or("it is no code");
    text(row, "coupon_code", parse)
}

fn state(row: &PgRow, rejected: Option<(&str, &str)>) -> Result<OrderState, sqlx::Error> {
    let number: i16 = row.try_get("state")?;
    let note: Option<&str> = row.try_get("failure_note")?;
    let kind = StateKind::numbered(number.into());
    Ok(match (kind, rejected, note) {
        (Some(StateKind::Rejected), Some((because, metadata)), None) => {
            OrderState::Rejected(rejection(because, metadata)?)
        }
        (Some(StateKind::Failed), None, Some(note)) => {
            OrderState::Failed(column("failure_note", FailureNote::parse(note))?)
        }
        (Some(StateKind::Pending), None, None) => OrderState::Pending,
        (Some(StateKind::Accepted), None, None) => OrderState::Accepted,
        (Some(StateKind::InPreparation), None, None) => OrderState::InPreparation,
        (Some(StateKind::Ready), None, None) => OrderState::Ready,
        (Some(StateKind::Completed), None, None) => OrderState::Completed,
        (Some(StateKind::Cancelled), None, None) => OrderState::Cancelled,
        _ => column("state", Err(format!("{number} with these reasons")))?,
    })
}

fn rejection(because: &str, metadata: &str) -> Result<Rejection, sqlx::Error> {
    let metadata: BTreeMap<String, String> =
        column("rejection_metadata", serde_json::from_str(metadata))?;
    let kept = Reason::from_name(because)
        .and_then(|reason| Rejection::kept(reason, metadata.into_iter().collect()));
    column("rejected_because", kept.ok_or(because))
}

fn slot(row: &PgRow) -> Result<Slot, sqlx::Error> {
    slot_of((row.try_get("slot_starts_at")?, row.try_get("slot_minutes")?))
}

pub(super) fn slot_of((starts_at, minutes): (Timestamp, i16)) -> Result<Slot, sqlx::Error> {
    Ok(Slot {
        begins: Minute::of(starts_at),
        minutes: column("slot_minutes", SlotMinutes::new(minutes))?,
    })
}

pub(super) fn metadata_to_json(rejection: &Rejection) -> String {
    let facts = rejection.metadata().iter().cloned();
    serde_json::json!(facts.collect::<BTreeMap<_, _>>()).to_string()
}

pub(super) fn lines_to_json(lines: &Lines) -> String {
    let document = |line: &OrderLine| LineDocument {
        sku: line.sku.as_str().to_owned(),
        quantity: line.quantity.get(),
        currency_code: line.unit_price.get().currency.to_string(),
        unit_price_minor_units: line.unit_price.get().minor_units,
    };
    let documents: Vec<_> = lines.as_slice().iter().map(document).collect();
    serde_json::json!(documents).to_string()
}

fn lines_from_json(json: &str) -> Result<Lines, sqlx::Error> {
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
    let lines: Result<_, sqlx::Error> = documents.into_iter().map(line).collect();
    column("lines", Lines::new(lines?))
}

/// A text column as what it stands for.
pub(super) fn text<'r, T, E: Display>(
    row: &'r PgRow,
    name: &'static str,
    parse: impl FnOnce(&'r str) -> Result<T, E>,
) -> Result<T, sqlx::Error> {
    column(name, parse(row.try_get(name)?))
}

/// A value of a column that was checked when it was written: if it cannot be read, somebody else
/// wrote it.
pub(super) fn column<T, E: Display>(
    name: &'static str,
    parsed: Result<T, E>,
) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: error.to_string().into(),
    })
}

/// Of each row one value, as a statement takes them.
pub(super) fn each<'a, Row, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
