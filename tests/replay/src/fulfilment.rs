//! Listens to the feed of orders as those who make the tea would, and writes down what it hears.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tidegate_proto::{
    order_intake::v1::{
        AcknowledgeOrdersRequest, StreamOrdersRequest, feed_service_client::FeedServiceClient,
    },
    r#type::v1::OrderState,
};
use tokio::time::{Instant, sleep};
use tonic::{Request, Status, metadata::AsciiMetadataValue, transport::Channel};
use uuid::Uuid;

use crate::shoppers::Scene;

/// Its cursor is remembered under this name, over all runs on the same data.
const CONSUMER: &str = "replay";
/// Between a stream that ended and the next.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);
/// How long the feed gets to tell of the last order.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(20);
const CATCH_UP_POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub struct Fulfilment {
    feed: FeedServiceClient<Channel>,
    authorization: AsciiMetadataValue,
}

impl Fulfilment {
    /// A listener over a connection with a staff certificate and a token that allows to read the feed.
    pub fn new(order_intake: Channel, token: &str) -> Result<Self> {
        Ok(Self {
            feed: FeedServiceClient::new(order_intake),
            authorization: format!("Bearer {token}").parse()?,
        })
    }

    /// Listens until dropped, from what was acknowledged last, and begins again when a stream ends.
    pub async fn listen(mut self, scene: Arc<Scene>) {
        loop {
            // A stream ends with its process. The pages that were not acknowledged come again.
            let _ = self.listen_once(&scene).await;
            sleep(LISTEN_AGAIN).await;
        }
    }

    async fn listen_once(&mut self, scene: &Scene) -> Result<(), Status> {
        let shopper_prefix = scene.ledger.shopper_prefix();
        let message = StreamOrdersRequest {
            consumer: CONSUMER.to_owned(),
            ..StreamOrdersRequest::default()
        };
        let mut pages = self
            .feed
            .stream_orders(self.request(message))
            .await?
            .into_inner();
        while let Some(page) = pages.message().await? {
            let accepted = page.events.iter().filter(|event| {
                event.state() == OrderState::Accepted
                    && event.shopper_id.starts_with(&shopper_prefix)
            });
            accepted.for_each(|event| scene.ledger.heard(&event.order_id));
            let message = AcknowledgeOrdersRequest {
                consumer: CONSUMER.to_owned(),
                cursor: page.cursor,
            };
            self.feed.acknowledge_orders(self.request(message)).await?;
        }
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        request
    }
}

/// Waits until the feed has told of all these orders; the audit counts those it never told of.
pub async fn wait_until_heard(scene: &Scene, orders: &[Uuid]) {
    let began = Instant::now();
    while scene.ledger.unheard(orders) > 0 && began.elapsed() < CATCH_UP_LIMIT {
        sleep(CATCH_UP_POLL).await;
    }
}
