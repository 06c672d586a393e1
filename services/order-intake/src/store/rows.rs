use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use tidegate_telemetry::TraceContext;
use tidegate_types::{
    CouponCode, CurrencyCode, Lines, Money, OrderLine, Quantity, Reason, Refusal, RequestId,
    ShopperId, Sku, StoreId, Timestamp, UnitPrice,
};
use uuid::Uuid;

use super::Placed;
use crate::{
    domain::{Draft, Order, OrderId, OrderState, Rejection, Standing},
    error::OrderIntakeError,
};

const PENDING: i16 = 1;
const ACCEPTED: i16 = 2;
const REJECTED: i16 = 3;

/// An order as `get_order`, `list_orders` and `pending_orders` read it.
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

/// What `commit_orders` answers for one item.
#[derive(FromRow)]
pub(super) struct CommittedRow {
    shopper_id: String,
    request_id: String,
    replayed: bool,
    conflicts: bool,
    lacks_store: bool,
    #[sqlx(flatten)]
    standing: StandingRow,
}

#[derive(FromRow)]
struct StandingRow {
    order_id: Uuid,
    state: i16,
    rejected_because: Option<String>,
    rejection_metadata: Option<String>,
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

impl CommittedRow {
    /// The order's key: its shopper and request id.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.shopper_id, &self.request_id)
    }

    pub(super) fn into_outcome(self) -> Result<Result<Placed, OrderIntakeError>, sqlx::Error> {
        if self.conflicts {
            return Ok(Err(OrderIntakeError::RequestIdConflict));
        }
        if self.lacks_store {
            return Ok(Err(OrderIntakeError::StoreNotFound));
        }
        Ok(Ok(Placed {
            standing: self.standing.into_standing()?,
            replayed: self.replayed,
        }))
    }
}

impl StandingRow {
    fn into_standing(self) -> Result<Standing, sqlx::Error> {
        let state = match (self.state, self.rejected_because, self.rejection_metadata) {
            (PENDING, None, None) => OrderState::Pending,
            (ACCEPTED, None, None) => OrderState::Accepted,
            (REJECTED, Some(because), Some(metadata)) => {
                OrderState::Rejected(rejection(&because, &metadata)?)
            }
            (number, ..) => {
                return Err(unreadable("state", format!("{number} with these reasons")));
            }
        };
        Ok(Standing {
            order_id: OrderId(self.order_id),
            state,
            trace: self
                .traceparent
                .and_then(|text| TraceContext::parse(&text).ok()),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

pub(super) fn state_number(state: &OrderState) -> i16 {
    match state {
        OrderState::Pending => PENDING,
        OrderState::Accepted => ACCEPTED,
        OrderState::Rejected(_) => REJECTED,
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
        .and_then(|reason| {
            Rejection::of(Refusal {
                metadata: metadata.into_iter().collect(),
                ..Refusal::never(reason)
            })
        })
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
    let lines = documents
        .into_iter()
        .map(line)
        .collect::<Result<_, sqlx::Error>>()?;
    column("lines", Lines::new(lines))
}

/// A value of a column that was checked when it was written: if it cannot be read, somebody else wrote it.
pub(super) fn column<T, E: Display>(
    name: &'static str,
    parsed: Result<T, E>,
) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| unreadable(name, error))
}

fn unreadable(name: &'static str, problem: impl Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: problem.to_string().into(),
    }
}
