//! Stores.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_auth::Identity;
use tidegate_proto::order_intake::v1::{
    CloseStoresRequest, CloseStoresResponse, GetStoreRequest, ListStoresRequest, PendingOrders,
    SetStoreStateRequest, Store, StoreState, UpsertStoresRequest, close_stores_request::Stores,
    store_service_client::StoreServiceClient,
};
use tidegate_types::Reason;

use super::campaign::new_request_id;
use crate::{
    arguments::{Global, one_of},
    confirm::confirm,
    contract::{json as as_json, json_each},
    failure::{Failure, with_request_id},
    output::{Column, Output},
    pages,
    session::Session,
    spec::{self, FromFile, StoreSpec, StoresSpec},
    wait,
};

const STORE: &str = "tidegate.order_intake.v1.Store";
const LIST: &[Column] = &[
    ("STORE", "/store_id"),
    ("NAME", "/display_name"),
    ("AREA", "/area"),
    ("STATE", "/state"),
    ("ORDERS A SLOT", "/orders_per_slot"),
    ("SLOT MINUTES", "/slot_minutes"),
    ("TIME ZONE", "/time_zone"),
    ("CLOSED BECAUSE", "/closed_because"),
];
const CLOSE_PATIENCE: Duration = Duration::from_secs(60);
const STORES_AT_ONCE: usize = 500;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List stores
    List {
        /// Only of this area
        #[arg(long)]
        area: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = one_of("STORE_STATE_", &["open", "closed"], StoreState::from_str_name))]
        state: Option<StoreState>,
    },
    /// Show one store
    Show { store: String },
    /// Make stores, or change them, to what a file says
    Apply(FromFile),
    /// Tell what a file says otherwise than the stores are; exits with 7 if there is anything
    Diff {
        /// YAML; `-` is standard input
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Close a store, or all of an area; orders that were taken are made
    Close(Close),
    /// Open a store again
    Open {
        store: String,
        /// Why; kept in the history
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Close a store, or all of an area, and fail the orders it has not begun: no cups, say
    Fail(Close),
}

/// Which stores close, and why.
#[derive(Debug, Args)]
pub struct Close {
    #[arg(required_unless_present = "area")]
    store: Option<String>,
    /// Every store of this area
    #[arg(long, conflicts_with = "store")]
    area: Option<String>,
    /// Why; for staff, and for shoppers whose orders fail
    #[arg(long)]
    reason: String,
    /// The same on every retry; made if there is none
    #[arg(long)]
    request_id: Option<String>,
}

pub async fn run(command: Command, session: &Session, global: &Global) -> Result<Output, Failure> {
    match command {
        Command::List { area, state } => list(area, state, session).await,
        Command::Show { store } => Ok(shown(&get(session, &store).await?)),
        Command::Apply(from) => apply(from, session).await,
        Command::Diff { file } => {
            let stores: StoresSpec = spec::read(&file)?;
            diff(&stores.stores, session).await
        }
        Command::Close(close) => shut(close, PendingOrders::Keep, session).await,
        Command::Open { store, reason } => open(store, reason, session).await,
        Command::Fail(close) => {
            let which = close.store.as_deref().or(close.area.as_deref());
            let which = which.unwrap_or_default();
            let question = "has not begun fail; this cannot be undone.";
            confirm(&format!("Orders that {which} {question}"), global.yes)?;
            shut(close, PendingOrders::Fail, session).await
        }
    }
}

async fn list(
    area: Option<String>,
    state: Option<StoreState>,
    session: &Session,
) -> Result<Output, Failure> {
    let ask = |page_token| ListStoresRequest {
        area: area.clone().unwrap_or_default(),
        state: state.unwrap_or_default().into(),
        page_size: 100,
        page_token,
    };
    let stores = pages::all(session, ask, |page| (page.stores, page.next_page_token)).await?;
    Ok(Output::list(json_each(STORE, &stores), LIST))
}

async fn get(session: &Session, id: &str) -> Result<Store, Failure> {
    let store_id = id.to_owned();
    let answer = session.call(GetStoreRequest { store_id }).await?;
    Ok(answer.store.unwrap_or_default())
}

fn shown(store: &Store) -> Output {
    Output::one(as_json(STORE, store), LIST)
}

async fn apply(from: FromFile, session: &Session) -> Result<Output, Failure> {
    const COUNTS: &[Column] = &[("created", "/created"), ("updated", "/updated")];
    let StoresSpec { stores } = spec::read(&from.file)?;
    if from.dry_run {
        let differing = differing(&stores, session).await?;
        return Ok(Output::list(differing, DIFFERENCES).with_note("Nothing was done."));
    }
    let message = |some: &[StoreSpec]| UpsertStoresRequest {
        stores: some.iter().map(StoreSpec::on_the_wire).collect(),
        reason: from.reason(),
    };
    let messages: Vec<_> = stores.chunks(STORES_AT_ONCE).map(message).collect();
    let say = || tokio_stream::iter(messages.clone());
    let open = |channel, request| async move {
        let mut order_intake = StoreServiceClient::new(channel);
        order_intake.upsert_stores(request).await
    };
    let mut answers = session.stream(Identity::OrderIntake, say, open).await?;
    let (mut created, mut updated) = (0, 0);
    while let Some(answer) = answers.message().await? {
        created += answer.created;
        updated += answer.updated;
    }
    let value = json!({ "created": created, "updated": updated });
    Ok(Output::one(value, COUNTS))
}

const DIFFERENCES: &[Column] = &[("STORE", "/store_id"), ("DIFFERS IN", "/fields")];

async fn diff(stores: &[StoreSpec], session: &Session) -> Result<Output, Failure> {
    let differing = differing(stores, session).await?;
    if differing.is_empty() {
        return Ok(Output::said("The stores are as the file says."));
    }
    let verdict = format!("{} stores differ from the file", differing.len());
    Ok(Output::list(differing, DIFFERENCES).with_verdict(Failure::Different(verdict)))
}

async fn differing(stores: &[StoreSpec], session: &Session) -> Result<Vec<Value>, Failure> {
    let mut differing = Vec::new();
    for wanted in stores {
        let fields = match get(session, &wanted.store_id).await {
            Ok(is) => wanted.differences(&is),
            Err(failure) if failure.is_because(Reason::StoreNotFound) => vec!["it is new"],
            Err(failure) => return Err(failure),
        };
        if !fields.is_empty() {
            differing.push(json!({ "store_id": wanted.store_id, "fields": fields }));
        }
    }
    Ok(differing)
}

async fn shut(close: Close, orders: PendingOrders, session: &Session) -> Result<Output, Failure> {
    const CLOSED: &[Column] = &[
        ("stores closed", "/stores_closed"),
        ("orders failed", "/orders_failed"),
        ("orders rejected", "/orders_rejected"),
        ("done", "/is_done"),
    ];
    let stores = match (close.store, close.area) {
        (Some(store), _) => Some(Stores::StoreId(store)),
        (None, area) => area.map(Stores::Area),
    };
    let message = CloseStoresRequest {
        request_id: close.request_id.unwrap_or_else(new_request_id),
        reason: close.reason,
        pending_orders: orders.into(),
        stores,
    };
    let request_id = message.request_id.clone();
    // The same call waits on; a closing goes on by itself, whoever waits.
    let look = || session.call(message.clone());
    let still = |closed: &CloseStoresResponse| {
        let ended = closed.orders_failed + closed.orders_rejected;
        (!closed.is_done).then(|| format!("{ended} orders have failed, others still have to"))
    };
    let closed = with_request_id(&request_id, wait::until(CLOSE_PATIENCE, look, still)).await?;
    let value = as_json("tidegate.order_intake.v1.CloseStoresResponse", &closed);
    Ok(Output::one(value, CLOSED).with_note("Closed."))
}

async fn open(store_id: String, reason: String, session: &Session) -> Result<Output, Failure> {
    let message = SetStoreStateRequest {
        store_id,
        state: StoreState::Open.into(),
        reason,
    };
    Ok(shown(
        &session.call(message).await?.store.unwrap_or_default(),
    ))
}
