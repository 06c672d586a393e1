//! Listens to the feed of orders as those who make the tea would, and writes down what it hears.

use std::{sync::Arc, time::Duration};

use tidegate_client::Fulfilment;
use tidegate_proto::r#type::v1::OrderState;
use tokio::time::{Instant, sleep};
use tonic::Status;
use uuid::Uuid;

use crate::shoppers::Scene;

/// Its cursor is remembered under this name, over all runs on the same data.
const CONSUMER: &str = "replay";
const LISTEN_AGAIN: Duration = Duration::from_millis(200);
/// How long the feed gets to tell of the last order.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(20);
const CATCH_UP_POLL: Duration = Duration::from_millis(100);

/// Listens until dropped, from what was acknowledged last, and begins again when a stream ends.
pub async fn listen(fulfilment: Fulfilment, scene: Arc<Scene>) {
    loop {
        // A stream ends with its process. The pages that were not acknowledged come again.
        let _ = listen_once(&fulfilment, &scene).await;
        sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(fulfilment: &Fulfilment, scene: &Scene) -> Result<(), Status> {
    let shopper_prefix = scene.ledger.shopper_prefix();
    let mut pages = fulfilment.stream_on(CONSUMER).await?;
    while let Some(page) = pages.message().await? {
        let accepted = page.events.iter().filter(|event| {
            event.state() == OrderState::Accepted && event.shopper_id.starts_with(&shopper_prefix)
        });
        accepted.for_each(|event| scene.ledger.heard(&event.order_id));
        fulfilment.acknowledge(CONSUMER, &page.cursor).await?;
    }
    Ok(())
}

/// Waits until the feed has told of all these orders; the audit counts those it never told of.
pub async fn wait_until_heard(scene: &Scene, orders: &[Uuid]) {
    let began = Instant::now();
    while scene.ledger.unheard(orders) > 0 && began.elapsed() < CATCH_UP_LIMIT {
        sleep(CATCH_UP_POLL).await;
    }
}
