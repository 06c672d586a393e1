//! Those who make orders and hand them out.

use anyhow::Result;
use tidegate_local::{
    credentials::{Identity, Scope},
    stack::Stack,
};
use tidegate_proto::{
    order_intake::v1::{
        AcknowledgeOrdersRequest, AdvanceOrderRequest, FailOrderRequest, StreamOrdersRequest,
        StreamOrdersResponse, feed_service_client::FeedServiceClient,
        order_intake_service_client::OrderIntakeServiceClient,
    },
    r#type::v1::{Order, OrderState},
};
use tonic::{Status, Streaming, transport::Channel};

use crate::{Bearer, part};

pub struct Fulfilment {
    bearer: Bearer,
    orders: OrderIntakeServiceClient<Channel>,
    feed: FeedServiceClient<Channel>,
}

impl Fulfilment {
    pub fn of(stack: &Stack) -> Result<Self> {
        let channel = stack.channel(Some(Identity::Staff), "order-intake-0")?;
        Ok(Self {
            bearer: Bearer::sign(stack.credentials(), "fulfilment", &Scope::FULFILMENT)?,
            orders: OrderIntakeServiceClient::new(channel.clone()),
            feed: FeedServiceClient::new(channel),
        })
    }

    pub async fn advance(&self, order: &Order, state: OrderState) -> Result<Order, Status> {
        let request = self.bearer.request(AdvanceOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            state: state.into(),
        });
        let answer = self.orders.clone().advance_order(request).await?;
        part(answer.into_inner().order, "advance_order")
    }

    pub async fn fail(&self, order: &Order, note: &str) -> Result<Order, Status> {
        let request = self.bearer.request(FailOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            note: note.into(),
        });
        let answer = self.orders.clone().fail_order(request).await?;
        part(answer.into_inner().order, "fail_order")
    }

    /// Reads the feed from where a consumer has come to.
    pub async fn stream_on(
        &self,
        consumer: &str,
    ) -> Result<Streaming<StreamOrdersResponse>, Status> {
        let request = self.bearer.request(StreamOrdersRequest {
            consumer: consumer.into(),
            ..StreamOrdersRequest::default()
        });
        Ok(self.feed.clone().stream_orders(request).await?.into_inner())
    }

    pub async fn acknowledge(&self, consumer: &str, cursor: &str) -> Result<(), Status> {
        let request = self.bearer.request(AcknowledgeOrdersRequest {
            consumer: consumer.into(),
            cursor: cursor.into(),
        });
        self.feed.clone().acknowledge_orders(request).await?;
        Ok(())
    }
}
