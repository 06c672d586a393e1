//! The feed of orders, as fulfilment reads it.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use tidegate_auth::Identity;
use tidegate_proto::order_intake::v1::{
    AcknowledgeOrdersRequest, OrderEvent, StreamOrdersRequest,
    feed_service_client::FeedServiceClient,
};
use tokio::time::sleep;

use crate::{
    contract::json,
    failure::Failure,
    output::{Column, Format, Output, print_heads},
    session::Session,
};

const EVENTS: &[Column] = &[
    ("WHEN", "/changed_at"),
    ("ORDER", "/order_id"),
    ("STATE", "/state"),
    ("STORE", "/store_id"),
    ("SHOPPER", "/shopper_id"),
    ("SLOT", "/slot/starts_at"),
];
const PAUSE_BEFORE_STREAM: Duration = Duration::from_secs(1);
const PAUSE_BEFORE_FORWARD: Duration = Duration::from_secs(1);
const FORWARD_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show every change of an order's state as it happens
    Listen(Listen),
}

/// Who listens, and to what.
#[derive(Debug, Args)]
pub struct Listen {
    /// Each consumer has its own place in the feed
    #[arg(long, default_value = "tidegatectl")]
    consumer: String,
    /// Only of this store
    #[arg(long)]
    store: Option<String>,
    /// Only of this area
    #[arg(long)]
    area: Option<String>,
    /// Send each change as JSON to this address, for development; what was taken with a 2xx is
    /// acknowledged, what was not is sent again
    #[arg(long, value_name = "URL")]
    forward_to: Option<reqwest::Url>,
    /// Acknowledge what was shown, so that the next listening begins after it
    #[arg(long)]
    acknowledge: bool,
}

/// Listens until the terminal is left. A stream that ends is opened again where it ended.
pub async fn run(command: Command, session: &Session, format: Format) -> Result<(), Failure> {
    let Command::Listen(listen) = command;
    let client = reqwest::Client::builder().timeout(FORWARD_LIMIT).build();
    let client = client.map_err(anyhow::Error::from)?;
    let mut cursor = String::new();
    print_heads(EVENTS, format)?;
    loop {
        let ask = || StreamOrdersRequest {
            consumer: listen.consumer.clone(),
            cursor: cursor.clone(),
            store_id: listen.store.clone().unwrap_or_default(),
            area: listen.area.clone().unwrap_or_default(),
        };
        let open = |channel, request| async move {
            FeedServiceClient::new(channel).stream_orders(request).await
        };
        let mut pages = session.stream(Identity::OrderIntake, ask, open).await?;
        while let Ok(Some(page)) = pages.message().await {
            let missed = page.missed_events;
            if missed > 0 {
                eprintln!("{missed} changes before these are no longer kept.");
            }
            for event in &page.events {
                tell(event, format)?;
                if let Some(to) = &listen.forward_to {
                    forward(&client, to, event).await;
                }
            }
            cursor = page.cursor;
            if listen.acknowledge || listen.forward_to.is_some() {
                acknowledge(session, &listen.consumer, &cursor).await?;
            }
        }
        sleep(PAUSE_BEFORE_STREAM).await;
    }
}

/// One line an event, so that it can be piped.
fn tell(event: &OrderEvent, format: Format) -> Result<(), Failure> {
    let event = json("tidegate.order_intake.v1.OrderEvent", event);
    Output::list(vec![event], EVENTS).print_line(format)
}

/// Until it is taken: nothing is left out, whatever the receiver does meanwhile.
async fn forward(client: &reqwest::Client, to: &reqwest::Url, event: &OrderEvent) {
    let value: Value = json("tidegate.order_intake.v1.OrderEvent", event);
    loop {
        match client.post(to.clone()).json(&value).send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => eprintln!("{to} answered {}; trying again", answer.status()),
            Err(error) => eprintln!("{to} cannot be reached: {error}; trying again"),
        }
        sleep(PAUSE_BEFORE_FORWARD).await;
    }
}

async fn acknowledge(session: &Session, consumer: &str, cursor: &str) -> Result<(), Failure> {
    let message = AcknowledgeOrdersRequest {
        consumer: consumer.to_owned(),
        cursor: cursor.to_owned(),
    };
    session.call(message).await.map(drop)
}
