//! Orders.

use clap::{Args, Subcommand, builder::TypedValueParser};
use prost_types::Timestamp;
use serde_json::Value;
use tidegate_proto::{
    gateway::v1::{ListCouponsRequest, PlaceOrderRequest},
    order_intake::v1::{
        AdvanceOrderRequest, CancelOrderRequest, FailOrderRequest, FindOrderRequest,
        ListOrdersRequest, ListStoreOrdersRequest,
    },
    r#type::v1::{CouponState, Money, Order, OrderLine, OrderState},
};

use super::campaign::new_request_id;
use crate::{
    arguments::{Global, one_of},
    confirm::confirm,
    contract::{json, json_each},
    failure::Failure,
    moment::parse_moment,
    output::{Column, Output},
    pages,
    session::Session,
};

const ORDER: &str = "tidegate.type.v1.Order";
const LIST: &[Column] = &[
    ("ORDER", "/order_id"),
    ("SHOPPER", "/shopper_id"),
    ("STORE", "/store_id"),
    ("STATE", "/state"),
    ("SLOT", "/slot/starts_at"),
    ("PLACED", "/created_at"),
];
const SHOW: &[Column] = &[
    ("order", "/order_id"),
    ("shopper", "/shopper_id"),
    ("store", "/store_id"),
    ("state", "/state"),
    ("slot", "/slot/starts_at"),
    ("placed at", "/created_at"),
    ("changed at", "/updated_at"),
    ("lines", "/lines"),
    ("total", "/total"),
    ("discount", "/discount"),
    ("to pay", "/amount_to_pay"),
    ("coupon", "/masked_coupon_code"),
    ("coupon back at", "/coupon_released_at"),
    ("rejected because", "/rejected_because"),
    ("failed because", "/failed_because"),
    ("note", "/failure_note"),
    ("request", "/request_id"),
    ("trace", "/trace_id"),
];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one order
    Show { order: String },
    /// List a shopper's orders, the newest first, or a store's, by slot
    List(List),
    /// Cancel an order that is not begun; slot and coupon come back
    Cancel { order: String },
    /// Fail an order that the store cannot make; slot and coupon come back
    Fail {
        order: String,
        /// What the shopper and staff are told
        #[arg(long)]
        note: String,
    },
    /// Move an order on, as its store does
    Advance {
        order: String,
        #[arg(value_parser = state(&["in-preparation", "ready", "completed"]))]
        to: OrderState,
    },
    /// Place an order as a shopper, for trying, with a coupon of the shopper's wallet
    Place(Place),
}

const STATES: &[&str] = &[
    "pending",
    "accepted",
    "rejected",
    "in-preparation",
    "ready",
    "completed",
    "cancelled",
    "failed",
];

fn state(names: &'static [&str]) -> impl TypedValueParser<Value = OrderState> {
    one_of("ORDER_STATE_", names, OrderState::from_str_name)
}

/// Which orders.
#[derive(Debug, Args)]
pub struct List {
    /// Whose
    #[arg(long, required_unless_present = "store")]
    shopper: Option<String>,
    /// Of which store
    #[arg(long, conflicts_with = "shopper")]
    store: Option<String>,
    /// Only those in these states
    #[arg(long, value_parser = state(STATES), requires = "store")]
    state: Vec<OrderState>,
    /// Only those whose slot begins then or later
    #[arg(long, value_parser = parse_moment, allow_hyphen_values = true, requires = "store")]
    from: Option<Timestamp>,
    /// Only those whose slot begins before
    #[arg(long, value_parser = parse_moment, allow_hyphen_values = true, requires = "store")]
    until: Option<Timestamp>,
}

/// What is ordered.
#[derive(Debug, Args)]
pub struct Place {
    #[arg(long)]
    store: String,
    #[arg(long, default_value = "tidegatectl")]
    shopper: String,
    /// Only a coupon of this campaign
    #[arg(long)]
    campaign: Option<String>,
    #[arg(long, default_value = "tea")]
    sku: String,
    #[arg(long, default_value_t = 3_000)]
    price_minor_units: i64,
    /// The latest time at which it may be made
    #[arg(long, value_parser = parse_moment, allow_hyphen_values = true)]
    latest: Option<Timestamp>,
}

pub async fn run(command: Command, session: &Session, global: &Global) -> Result<Output, Failure> {
    match command {
        Command::Show { order } => Ok(shown(Some(find(session, &order).await?))),
        Command::List(List {
            shopper: Some(shopper),
            ..
        }) => of_shopper(shopper, session).await,
        Command::List(list) => of_store(list, session).await,
        Command::Cancel { order } => {
            confirm(&format!("Cancelling {order} cannot be undone."), global.yes)?;
            let order = find(session, &order).await?;
            let message = CancelOrderRequest {
                shopper_id: order.shopper_id,
                order_id: order.order_id,
            };
            Ok(shown(session.call(message).await?.order))
        }
        Command::Fail { order, note } => {
            confirm(&format!("Failing {order} cannot be undone."), global.yes)?;
            let order = find(session, &order).await?;
            let message = FailOrderRequest {
                shopper_id: order.shopper_id,
                order_id: order.order_id,
                note,
            };
            Ok(shown(session.call(message).await?.order))
        }
        Command::Advance { order, to } => {
            let order = find(session, &order).await?;
            let message = AdvanceOrderRequest {
                shopper_id: order.shopper_id,
                order_id: order.order_id,
                state: to.into(),
            };
            Ok(shown(session.call(message).await?.order))
        }
        Command::Place(place) => self::place(place, session).await,
    }
}

fn shown(order: Option<Order>) -> Output {
    Output::one(json(ORDER, &order.unwrap_or_default()), SHOW)
}

pub(crate) async fn find(session: &Session, order_id: &str) -> Result<Order, Failure> {
    let order_id = order_id.to_owned();
    let answer = session.call(FindOrderRequest { order_id }).await?;
    Ok(answer.order.unwrap_or_default())
}

async fn of_shopper(shopper_id: String, session: &Session) -> Result<Output, Failure> {
    let ask = |page_token| ListOrdersRequest {
        shopper_id: shopper_id.clone(),
        page_size: 100,
        page_token,
    };
    let orders = pages::all(session, ask, |page| (page.orders, page.next_page_token)).await?;
    Ok(Output::list(json_each(ORDER, &orders), LIST))
}

async fn of_store(list: List, session: &Session) -> Result<Output, Failure> {
    let ask = |page_token| ListStoreOrdersRequest {
        store_id: list.store.clone().unwrap_or_default(),
        states: list.state.iter().map(|state| (*state).into()).collect(),
        from: list.from,
        until: list.until,
        page_size: 100,
        page_token,
    };
    let orders = pages::all(session, ask, |page| (page.orders, page.next_page_token)).await?;
    Ok(Output::list(json_each(ORDER, &orders), LIST))
}

async fn place(place: Place, session: &Session) -> Result<Output, Failure> {
    let message = ListCouponsRequest {
        shopper_id: place.shopper.clone(),
        campaign_id: place.campaign.unwrap_or_default(),
        page_size: 100,
        page_token: String::new(),
    };
    let coupons = session.call(message).await?.coupons;
    let usable = coupons
        .into_iter()
        .find(|coupon| coupon.state() == CouponState::Issued);
    let coupon = usable.ok_or_else(|| {
        let shopper = &place.shopper;
        Failure::NotFound(format!(
            "{shopper} has no coupon to order with: tidegatectl claim CAMPAIGN --shopper {shopper} gets one"
        ))
    })?;
    let price = Money {
        currency_code: coupon.face_value.unwrap_or_default().currency_code,
        minor_units: place.price_minor_units,
    };
    let message = PlaceOrderRequest {
        shopper_id: place.shopper,
        request_id: new_request_id(),
        store_id: place.store,
        lines: vec![OrderLine {
            sku: place.sku,
            quantity: 1,
            unit_price: Some(price),
        }],
        coupon_code: coupon.code,
        latest_acceptable_at: place.latest,
        suggest_stores: true,
    };
    let answer = session.call(message).await?;
    let mut value = json(ORDER, &answer.order.unwrap_or_default());
    value["trace_id"] = Value::String(answer.trace_id);
    Ok(Output::one(value, SHOW))
}
