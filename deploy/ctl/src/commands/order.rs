//! Orders.

use clap::{Args, Subcommand, ValueEnum};
use prost_types::Timestamp;
use serde_json::Value;
use tidegate_auth::Identity;
use tidegate_proto::{
    gateway::v1::{
        ListCouponsRequest, PlaceOrderRequest, order_service_client::OrderServiceClient,
        wallet_service_client::WalletServiceClient,
    },
    order_intake::v1::{
        AdvanceOrderRequest, CancelOrderRequest, FailOrderRequest, FindOrderRequest,
        ListOrdersRequest, ListStoreOrdersRequest,
        order_intake_service_client::OrderIntakeServiceClient,
    },
    r#type::v1::{CouponState, Money, Order, OrderLine, OrderState},
};

use super::campaign::new_request_id;
use crate::{
    arguments::Global,
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

/// What can be done with orders.
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
        #[arg(value_enum)]
        to: Step,
    },
    /// Place an order as a shopper, for trying, with a coupon of the shopper's wallet
    Place(Place),
}

/// A step of making an order.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Step {
    InPreparation,
    Ready,
    Completed,
}

/// Where an order may stand.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    Pending,
    Accepted,
    Rejected,
    InPreparation,
    Ready,
    Completed,
    Cancelled,
    Failed,
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
    #[arg(long, value_enum, requires = "store")]
    state: Vec<State>,
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

/// Does one of them.
pub async fn run(command: Command, session: &Session, global: &Global) -> Result<Output, Failure> {
    match command {
        Command::Show { order } => Ok(shown(&find(session, &order).await?)),
        Command::List(List {
            shopper: Some(shopper),
            ..
        }) => of_shopper(shopper, session).await,
        Command::List(list) => of_store(list, session).await,
        Command::Cancel { order } => {
            confirm(&format!("Cancelling {order} cannot be undone."), global.yes)?;
            cancel(session, &order).await
        }
        Command::Fail { order, note } => {
            confirm(&format!("Failing {order} cannot be undone."), global.yes)?;
            fail(session, &order, note).await
        }
        Command::Advance { order, to } => advance(session, &order, to).await,
        Command::Place(place) => self::place(place, session).await,
    }
}

fn shown(order: &Order) -> Output {
    Output::one(json(ORDER, order), SHOW)
}

pub(crate) async fn find(session: &Session, order_id: &str) -> Result<Order, Failure> {
    let message = FindOrderRequest {
        order_id: order_id.to_owned(),
    };
    let answer = session.call(
        Identity::OrderIntake,
        message,
        |channel, request| async move {
            OrderIntakeServiceClient::new(channel)
                .find_order(request)
                .await
        },
    );
    Ok(answer.await?.order.unwrap_or_default())
}

async fn of_shopper(shopper_id: String, session: &Session) -> Result<Output, Failure> {
    let page = async |page_token| {
        let message = ListOrdersRequest {
            shopper_id: shopper_id.clone(),
            page_size: 100,
            page_token,
        };
        let page = session.call(
            Identity::OrderIntake,
            message,
            |channel, request| async move {
                OrderIntakeServiceClient::new(channel)
                    .list_orders(request)
                    .await
            },
        );
        let page = page.await?;
        Ok((page.orders, page.next_page_token))
    };
    let orders = pages::all(page).await?;
    Ok(Output::list(json_each(ORDER, &orders), LIST))
}

async fn of_store(list: List, session: &Session) -> Result<Output, Failure> {
    let states = list.state.iter().map(|state| on_the_wire(*state).into());
    let states: Vec<i32> = states.collect();
    let page = async |page_token| {
        let message = ListStoreOrdersRequest {
            store_id: list.store.clone().unwrap_or_default(),
            states: states.clone(),
            from: list.from,
            until: list.until,
            page_size: 100,
            page_token,
        };
        let page = session.call(
            Identity::OrderIntake,
            message,
            |channel, request| async move {
                OrderIntakeServiceClient::new(channel)
                    .list_store_orders(request)
                    .await
            },
        );
        let page = page.await?;
        Ok((page.orders, page.next_page_token))
    };
    let orders = pages::all(page).await?;
    Ok(Output::list(json_each(ORDER, &orders), LIST))
}

fn on_the_wire(state: State) -> OrderState {
    match state {
        State::Pending => OrderState::Pending,
        State::Accepted => OrderState::Accepted,
        State::Rejected => OrderState::Rejected,
        State::InPreparation => OrderState::InPreparation,
        State::Ready => OrderState::Ready,
        State::Completed => OrderState::Completed,
        State::Cancelled => OrderState::Cancelled,
        State::Failed => OrderState::Failed,
    }
}

async fn cancel(session: &Session, order_id: &str) -> Result<Output, Failure> {
    let order = find(session, order_id).await?;
    let message = CancelOrderRequest {
        shopper_id: order.shopper_id,
        order_id: order.order_id,
    };
    let answer = session.call(
        Identity::OrderIntake,
        message,
        |channel, request| async move {
            OrderIntakeServiceClient::new(channel)
                .cancel_order(request)
                .await
        },
    );
    Ok(shown(&answer.await?.order.unwrap_or_default()))
}

async fn fail(session: &Session, order_id: &str, note: String) -> Result<Output, Failure> {
    let order = find(session, order_id).await?;
    let message = FailOrderRequest {
        shopper_id: order.shopper_id,
        order_id: order.order_id,
        note,
    };
    let answer = session.call(
        Identity::OrderIntake,
        message,
        |channel, request| async move {
            OrderIntakeServiceClient::new(channel)
                .fail_order(request)
                .await
        },
    );
    Ok(shown(&answer.await?.order.unwrap_or_default()))
}

async fn advance(session: &Session, order_id: &str, to: Step) -> Result<Output, Failure> {
    let order = find(session, order_id).await?;
    let state = match to {
        Step::InPreparation => OrderState::InPreparation,
        Step::Ready => OrderState::Ready,
        Step::Completed => OrderState::Completed,
    };
    let message = AdvanceOrderRequest {
        shopper_id: order.shopper_id,
        order_id: order.order_id,
        state: state.into(),
    };
    let answer = session.call(
        Identity::OrderIntake,
        message,
        |channel, request| async move {
            OrderIntakeServiceClient::new(channel)
                .advance_order(request)
                .await
        },
    );
    Ok(shown(&answer.await?.order.unwrap_or_default()))
}

async fn place(place: Place, session: &Session) -> Result<Output, Failure> {
    let message = ListCouponsRequest {
        shopper_id: place.shopper.clone(),
        campaign_id: place.campaign.unwrap_or_default(),
        page_size: 100,
        page_token: String::new(),
    };
    let wallet = session.call_as_chatbot(message, |channel, request| async move {
        WalletServiceClient::new(channel)
            .list_coupons(request)
            .await
    });
    let coupons = wallet.await?.coupons;
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
    let answer = session.call_as_chatbot(message, |channel, request| async move {
        OrderServiceClient::new(channel).place_order(request).await
    });
    let answer = answer.await?;
    let mut value = json(ORDER, &answer.order.unwrap_or_default());
    value["trace_id"] = Value::String(answer.trace_id);
    Ok(Output::one(value, SHOW))
}
